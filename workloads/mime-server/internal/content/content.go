// Package content says what a file is from what is in it.
package content

import (
	"fmt"
	"io"
	"mime"
	"path"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// byExtension breaks ties only: the name is believed where the content is
// plain text, or a zip container, that could be any of these. Nothing here can
// run in a browser: no name turns plain text into HTML, SVG or XML.
var byExtension = map[string]map[string]string{
	"text/plain": {
		".css":   "text/css",
		".csv":   "text/csv",
		".go":    "text/x-go",
		".ini":   "text/x-ini",
		".js":    "text/javascript",
		".log":   "text/x-log",
		".md":    "text/markdown",
		".mjs":   "text/javascript",
		".py":    "text/x-python",
		".sh":    "text/x-shellscript",
		".sql":   "application/sql",
		".toml":  "application/toml",
		".ts":    "text/x-typescript",
		".tsv":   "text/tab-separated-values",
		".yaml":  "application/yaml",
		".yml":   "application/yaml",
		".jsonl": "application/jsonl",
	},
	"application/zip": {
		".apk":   "application/vnd.android.package-archive",
		".docx":  "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		".epub":  "application/epub+zip",
		".jar":   "application/java-archive",
		".kmz":   "application/vnd.google-earth.kmz",
		".odp":   "application/vnd.oasis.opendocument.presentation",
		".ods":   "application/vnd.oasis.opendocument.spreadsheet",
		".odt":   "application/vnd.oasis.opendocument.text",
		".pptx":  "application/vnd.openxmlformats-officedocument.presentationml.presentation",
		".whl":   "application/x-wheel+zip",
		".xlsx":  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		".3mf":   "model/3mf",
		".vsix":  "application/vsix",
		".nupkg": "application/vnd.nuget.package",
	},
}

// Type detects the media type of a file from its first bytes; name decides
// between the types that the same bytes could have.
func Type(r io.Reader, name string) (string, error) {
	detected, err := mimetype.DetectReader(r)
	if err != nil {
		return "", fmt.Errorf("detecting the type of %s: %w", name, err)
	}
	base, charset, _ := strings.Cut(detected.String(), ";")
	better, known := byExtension[base][strings.ToLower(path.Ext(name))]
	if !known {
		return detected.String(), nil
	}
	if charset != "" {
		return better + ";" + charset, nil
	}
	return better, nil
}

// Inline says whether a browser may show a file of this type in place. All else
// is offered for download: HTML, SVG, XML and whatever comes to run script one day.
func Inline(mediaType string) bool {
	base, _, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return false
	}
	kind, _, _ := strings.Cut(base, "/")
	switch base {
	case "text/plain", "application/pdf", "application/json":
		return true
	case "image/svg+xml":
		return false
	}
	return kind == "image" || kind == "audio" || kind == "video"
}
