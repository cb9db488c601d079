package engine

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

// escaped marks a name that is not the file's own. Kopia keeps names as JSON, which has no place for bytes that are not
// UTF-8: two such names would become one.
const escaped = ".mockup-name:"

// stored is the name under which a file is kept.
func stored(name string) string {
	if utf8.ValidString(name) && !strings.HasPrefix(name, escaped) {
		return name
	}
	return escaped + url.PathEscape(name)
}

// original is the name that the file had.
func original(name string) string {
	rest, ok := strings.CutPrefix(name, escaped)
	if !ok {
		return name
	}
	if raw, err := url.PathUnescape(rest); err == nil && plain(raw) {
		return raw
	}
	return name
}

// plain tells whether a name is one, and leads nowhere else.
func plain(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// originalPath of a stored one; both are relative, with slashes.
func originalPath(p string) string {
	if !strings.Contains(p, escaped) {
		return p
	}
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = original(parts[i])
	}
	return strings.Join(parts, "/")
}

// storedPath of an original one.
func storedPath(p string) string {
	parts := strings.Split(path.Clean(p), "/")
	for i := range parts {
		parts[i] = stored(parts[i])
	}
	return strings.Join(parts, "/")
}

// within tells whether a path is one of roots or below one; every path is within none.
func within(p string, roots []string) bool {
	if len(roots) == 0 {
		return true
	}
	for _, root := range roots {
		root = path.Clean(root)
		if root == "." || p == root || strings.HasPrefix(p, root+"/") {
			return true
		}
	}
	return false
}

// concerns tells whether a path is within roots, or is a folder on the way to one of them.
func concerns(p string, isDir bool, roots []string) bool {
	return within(p, roots) || isDir && leadsTo(p, roots)
}

// leadsTo tells whether a folder is within roots, or one of them is below it.
func leadsTo(dir string, roots []string) bool {
	if dir == "." || within(dir, roots) {
		return true
	}
	for _, root := range roots {
		if strings.HasPrefix(path.Clean(root), dir+"/") {
			return true
		}
	}
	return false
}
