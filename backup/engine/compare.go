package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sort"
	"syscall"
)

// Difference between what was recorded and what is there.
type Difference struct {
	Path string `json:"path"`
	// What differs: missing, extra, type, mode, owner, size, time, content, target or links.
	What string `json:"what"`
	Want string `json:"want,omitempty"`
	Have string `json:"have,omitempty"`
}

func (d Difference) String() string {
	if d.Want == "" && d.Have == "" {
		return d.Path + " is " + d.What
	}
	return fmt.Sprintf("%s: %s is %s, not %s", d.Path, d.What, d.Have, d.Want)
}

// compare a folder with a record, file by file: content, mode, times, owner, targets, and which names are one file. What is
// not within paths does not count, nor, unless exact, does what the record does not have.
func compare(ctx context.Context, root string, record Record, paths []string, exact bool, report *Reporter) ([]Difference, error) {
	c := &comparison{root: root, names: map[string]string{}, links: map[string]string{}}
	files, bytes := record.totals()
	report.begin("compare", "", files, bytes)
	wanted := map[string]bool{}
	for _, e := range record {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		wanted[e.Path] = true
		if !within(originalPath(e.Path), paths) {
			continue
		}
		if err := c.entry(e); err != nil {
			return nil, err
		}
		report.add(1, e.Size)
	}
	if exact {
		if err := c.extra(wanted); err != nil {
			return nil, err
		}
	}
	sort.SliceStable(c.found, func(i, j int) bool { return c.found[i].Path < c.found[j].Path })
	return c.found, nil
}

type comparison struct {
	root  string
	found []Difference
	// names of files that have several: the inode of each link of the record, and the other way round.
	names, links map[string]string
}

func (c *comparison) differs(e Entry, what string, want, have any) {
	if w, h := fmt.Sprint(want), fmt.Sprint(have); w != h {
		c.found = append(c.found, Difference{Path: e.Path, What: what, Want: w, Have: h})
	}
}

func (c *comparison) entry(e Entry) error {
	name := filepath.Join(c.root, filepath.FromSlash(originalPath(e.Path)))
	info, err := os.Lstat(name)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		c.found = append(c.found, Difference{Path: e.Path, What: "missing"})
		return nil
	}
	if err != nil {
		return fmt.Errorf("comparing %s: %w", e.Path, err)
	}
	have := (&node{FileInfo: info, s: &source{}, rel: originalPath(e.Path)}).entry()
	if e.Type != have.Type {
		c.differs(e, "type", e.Type, have.Type)
		return nil
	}
	c.differs(e, "mode", fmt.Sprintf("%#o", e.Mode), fmt.Sprintf("%#o", have.Mode))
	c.differs(e, "owner", fmt.Sprintf("%d:%d", e.User, e.Group), fmt.Sprintf("%d:%d", have.User, have.Group))
	c.differs(e, "time", e.Modified, have.Modified)
	switch e.Type {
	case TypeFile:
		c.sameLinks(e, info)
		digest, size, err := digestFile(name, e.Digest)
		if err != nil {
			return fmt.Errorf("comparing %s: %w", e.Path, err)
		}
		c.differs(e, "size", e.Size, size)
		c.differs(e, "content", e.Digest, digest)
	case TypeSymlink:
		target, err := os.Readlink(name)
		if err != nil {
			return fmt.Errorf("comparing %s: %w", e.Path, err)
		}
		c.differs(e, "target", fmt.Sprintf("%q", e.Target), fmt.Sprintf("%q", target))
	}
	return nil
}

// sameLinks tells whether names that were one file are one file, and others are not. Names outside of the backup are
// not counted.
func (c *comparison) sameLinks(e Entry, info os.FileInfo) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	inode := fmt.Sprint(st.Dev, ":", st.Ino)
	link := e.Link
	if link == "" {
		link = "alone " + e.Path
	}
	if other, ok := c.names[link]; ok && other != inode {
		c.found = append(c.found, Difference{Path: e.Path, What: "links", Want: "one file with its other names", Have: "a file of its own"})
	} else if other, ok := c.links[inode]; ok && other != link {
		c.found = append(c.found, Difference{Path: e.Path, What: "links", Want: "a file of its own", Have: "one file with other names"})
	}
	c.names[link], c.links[inode] = inode, link
}

// extra files that the record does not have.
func (c *comparison) extra(wanted map[string]bool) error {
	return filepath.WalkDir(c.root, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("comparing: %w", err)
		}
		p := relative(c.root, name)
		if wanted[storedPath(p)] {
			return nil
		}
		if ignored(p) {
			return skip(d)
		}
		c.found = append(c.found, Difference{Path: storedPath(p), What: "extra"})
		return skip(d)
	})
}

func skip(d os.DirEntry) error {
	if d.IsDir() {
		return filepath.SkipDir
	}
	return nil
}

// ignored are the folder that ext4 makes at the root of a file system and the mark of a restore that goes on.
func ignored(p string) bool { return path.Clean(p) == "lost+found" || path.Clean(p) == claimed }
