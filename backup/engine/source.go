package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/kopia/kopia/fs"
)

// source is a folder as Kopia reads it. It notes down what Kopia sees, and digests what Kopia reads while it is read, so
// that the record speaks of the very bytes that were stored.
//
// Kopia's own reader of folders is not used: it takes files whose names end in .kopia-entry for something else, and does
// not know of hard links.
type source struct {
	root    string
	include []string
	mu      sync.Mutex
	// seen is what was listed, and, if it was, read, by path as stored. What has not changed since the last time is listed and
	// not read.
	seen map[string]Entry
	// unstable are files that were written to while they were read: what is stored may be neither the old nor the new.
	unstable []string
	// special are the files that no backup has: sockets, pipes and devices.
	special map[string]bool
}

func newSource(root string, include []string) *source {
	return &source{root: root, include: include, seen: map[string]Entry{}, special: map[string]bool{}}
}

func (s *source) directory() (fs.Directory, error) {
	info, err := os.Stat(s.root)
	if err != nil {
		return nil, &Failure{Reason: ReasonSource, Err: fmt.Errorf("reading a volume: %w", err)}
	}
	if !info.IsDir() {
		return nil, &Failure{Reason: ReasonSource, Err: fmt.Errorf("%s is no folder", s.root)}
	}
	n := &node{FileInfo: info, s: s, rel: "."}
	s.list(n)
	return &sourceDir{n}, nil
}

func (s *source) list(n *node) {
	e := n.entry()
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Type == "" {
		s.special[e.Path] = true
		return
	}
	if !s.seen[e.Path].read() {
		s.seen[e.Path] = e
	}
}

// read notes what was read. Kopia lists folders twice, the first time for an estimate: what is listed replaces nothing that
// was read.
func (s *source) read(e Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[e.Path] = e
}

// node is what all entries have in common. Its FileInfo is that of the open file once there is one.
type node struct {
	os.FileInfo
	s   *source
	rel string // path below the root as the file system has it
}

func (n *node) storedPath() string { return storedPath(n.rel) }
func (n *node) path() string       { return filepath.Join(n.s.root, n.rel) }

// Name implements fs.Entry.
func (n *node) Name() string { return stored(path.Base(n.rel)) }

// Size implements fs.Entry. Folders have none: that of the file system's own bookkeeping is nobody's business.
func (n *node) Size() int64 {
	if n.IsDir() {
		return 0
	}
	return n.FileInfo.Size()
}

// Owner implements fs.Entry.
func (n *node) Owner() fs.OwnerInfo {
	st := n.stat()
	return fs.OwnerInfo{UserID: st.Uid, GroupID: st.Gid}
}

// Device implements fs.Entry.
func (n *node) Device() fs.DeviceInfo { return fs.DeviceInfo{Dev: n.stat().Dev} }

// LocalFilesystemPath implements fs.Entry. There is none, so that Kopia does not go around this reader.
func (n *node) LocalFilesystemPath() string { return "" }

// Close implements fs.Entry.
func (n *node) Close() {}

func (n *node) stat() *syscall.Stat_t {
	if st, ok := n.Sys().(*syscall.Stat_t); ok {
		return st
	}
	return &syscall.Stat_t{}
}

// entry of the record, without digest and target.
func (n *node) entry() Entry {
	st := n.stat()
	e := Entry{
		Path: n.storedPath(), Type: typeOf(n.Mode()), Mode: modeOf(n.Mode()), User: st.Uid, Group: st.Gid,
		Size: n.Size(), Modified: n.ModTime().UnixNano(),
	}
	if e.Type == TypeFile && st.Nlink > 1 {
		e.Link = fmt.Sprintf("%d:%d", st.Dev, st.Ino)
	}
	return e
}

// sourceDir implements fs.Directory.
type sourceDir struct{ *node }

// SupportsMultipleIterations implements fs.Directory.
func (*sourceDir) SupportsMultipleIterations() bool { return true }

// Child implements fs.Directory.
func (d *sourceDir) Child(ctx context.Context, name string) (fs.Entry, error) {
	return fs.IterateEntriesAndFindChild(ctx, d, name)
}

// Iterate implements fs.Directory.
func (d *sourceDir) Iterate(context.Context) (fs.DirectoryIterator, error) {
	names, err := readNames(d.path())
	if err != nil && !errors.Is(err, os.ErrNotExist) { // gone since it was listed
		return nil, err
	}
	return &sourceIterator{dir: d, names: names}, nil
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

type sourceIterator struct {
	dir   *sourceDir
	names []string
}

// Close implements fs.DirectoryIterator.
func (*sourceIterator) Close() {}

// Next implements fs.DirectoryIterator.
func (i *sourceIterator) Next(context.Context) (fs.Entry, error) {
	for len(i.names) > 0 {
		name := i.names[0]
		i.names = i.names[1:]
		e, err := i.dir.child(name)
		if e != nil || err != nil {
			return e, err
		}
	}
	return nil, nil
}

// child is nil for what is not backed up, or is gone.
func (d *sourceDir) child(name string) (fs.Entry, error) {
	n := &node{s: d.s, rel: path.Join(d.rel, name)}
	info, err := os.Lstat(n.path())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n.FileInfo = info
	if !concerns(n.rel, info.IsDir(), d.s.include) {
		return nil, nil
	}
	d.s.list(n)
	switch typeOf(info.Mode()) {
	case TypeDirectory:
		return &sourceDir{n}, nil
	case TypeSymlink:
		return &sourceLink{n}, nil
	case TypeFile:
		return &sourceFile{n}, nil
	}
	return nil, nil
}

// sourceLink implements fs.Symlink.
type sourceLink struct{ *node }

// Readlink implements fs.Symlink.
func (l *sourceLink) Readlink(context.Context) (string, error) {
	target, err := os.Readlink(l.path())
	if err != nil {
		return "", err
	}
	e := l.entry()
	e.Target = []byte(target)
	l.s.read(e)
	return target, nil
}

// Resolve implements fs.Symlink. Links are stored, never followed.
func (l *sourceLink) Resolve(context.Context) (fs.Entry, error) {
	return nil, fmt.Errorf("symbolic link %s is not followed", l.rel)
}

// sourceFile implements fs.File.
type sourceFile struct{ *node }

// Open implements fs.File. A file that took the place of the one that was listed is described as it is now.
func (f *sourceFile) Open(context.Context) (fs.Reader, error) {
	file, err := os.OpenFile(f.path(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &os.PathError{Op: "open", Path: f.path(), Err: os.ErrNotExist} // what was listed is gone
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	f.FileInfo = info
	return &digesting{file: file, of: f, digester: newDigester("")}, nil
}

// digesting reads a file from its beginning to its end.
type digesting struct {
	file *os.File
	of   *sourceFile
	digester
	size int64
}

// Read implements io.Reader.
func (d *digesting) Read(b []byte) (int, error) {
	n, err := d.file.Read(b)
	d.Write(b[:n])
	d.size += int64(n)
	if errors.Is(err, io.EOF) {
		d.end()
	}
	return n, err
}

func (d *digesting) end() {
	e := d.of.entry()
	e.Digest, e.Size = d.digest(), d.size
	s := d.of.s
	s.read(e)
	now, err := d.file.Stat()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || now.Size() != d.size || !now.ModTime().Equal(d.of.ModTime()) {
		s.unstable = append(s.unstable, e.Path)
	}
}

// Seek implements io.Seeker: Kopia seeks only in files that it reads in parts, which it is told not to.
func (d *digesting) Seek(int64, int) (int64, error) {
	return 0, fmt.Errorf("%s is read in one go", d.of.rel)
}

// Close implements io.Closer.
func (d *digesting) Close() error { return d.file.Close() }

// Entry implements fs.Reader.
func (d *digesting) Entry() (fs.Entry, error) { return d.of, nil }

// typeOf a file, empty for one that no backup has.
func typeOf(m os.FileMode) string {
	switch {
	case m.IsDir():
		return TypeDirectory
	case m&os.ModeSymlink != 0:
		return TypeSymlink
	case m.IsRegular():
		return TypeFile
	}
	return ""
}

// specialModes of chmod(2) and of Go.
var specialModes = [...]struct { //nolint:gochecknoglobals // a table that nothing writes to
	bit  uint32
	flag os.FileMode
}{{syscall.S_ISUID, os.ModeSetuid}, {syscall.S_ISGID, os.ModeSetgid}, {syscall.S_ISVTX, os.ModeSticky}}

// modeOf a file as chmod(2) has it. That of a symbolic link means nothing.
func modeOf(m os.FileMode) uint32 {
	if m&os.ModeSymlink != 0 {
		return 0
	}
	out := uint32(m.Perm())
	for _, s := range specialModes {
		if m&s.flag != 0 {
			out |= s.bit
		}
	}
	return out
}

// fileMode is the inverse of modeOf.
func fileMode(mode uint32) os.FileMode {
	out := os.FileMode(mode & 0o777)
	for _, s := range specialModes {
		if mode&s.bit != 0 {
			out |= s.flag
		}
	}
	return out
}

// relative path of name below root, with slashes.
func relative(root, name string) string {
	rel := strings.TrimPrefix(strings.TrimPrefix(name, root), "/")
	if rel == "" {
		return "."
	}
	return rel
}
