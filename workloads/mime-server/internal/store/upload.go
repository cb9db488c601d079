package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"mockup.dev/mockup/workloads/mime-server/internal/content"
)

// Conflict says what to do if the name of an upload is taken.
type Conflict int

// Replace puts the upload in the old file's place, Refuse fails with ErrExists,
// and Number stores it as "name (2)", unless one of these files holds the very
// same content: then that file is the result and nothing is stored.
const (
	Replace Conflict = iota
	Refuse
	Number
)

// maxNumber ends the search for a free name.
const maxNumber = 1000

// Upload is a file on its way into the store. It cannot be seen before Commit.
// The caller ends it with Discard, which after a Commit does nothing.
type Upload struct {
	store  *Store
	name   string
	temp   *temp
	digest hash.Hash
}

// Create begins an upload, and creates the folders that its name asks for.
func (s *Store) Create(name string) (*Upload, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	for _, folder := range foldersOf(name) {
		err := s.root.Mkdir(folder, 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, explainWrite(name, err)
		}
	}
	if err := s.checkFolders(name); err != nil {
		return nil, explainWrite(name, err)
	}
	temp, err := createTemp(s.root, path.Dir(name))
	if err != nil {
		return nil, explainWrite(name, err)
	}
	return &Upload{store: s, name: name, temp: temp, digest: sha256.New()}, nil
}

// Write adds to the file.
func (u *Upload) Write(p []byte) (int, error) {
	n, err := u.temp.Write(p)
	u.digest.Write(p[:n])
	if err != nil {
		return n, explainWrite(u.name, err)
	}
	return n, nil
}

// Discard gives up an upload that was not committed.
func (u *Upload) Discard() {
	if u.temp == nil {
		return
	}
	if err := u.temp.discard(); err != nil {
		u.store.log.Warn("an upload could not be cleared away", "file", u.temp.name, "error", err.Error())
	}
	u.temp = nil
}

// Commit makes the file durable and then visible, both before it returns.
// expect, if not nil, is shown the file that is to be replaced (nil: there is
// none) and may refuse. created is false if the file was there under this name.
func (u *Upload) Commit(ctx context.Context, conflict Conflict, expect func(*Info) bool) (info Info, created bool, err error) {
	defer u.Discard()
	if err := u.stamp(); err != nil {
		return Info{}, false, explainWrite(u.name, err)
	}
	if err := u.store.syncFile(u.temp.File); err != nil {
		return Info{}, false, explainWrite(u.name, fmt.Errorf("syncing: %w", err))
	}
	if _, err := u.temp.Seek(0, io.SeekStart); err != nil {
		return Info{}, false, explainWrite(u.name, err)
	}
	mediaType, err := content.Type(u.temp, u.name)
	if err != nil {
		return Info{}, false, err
	}
	learnt := facts{Type: mediaType, SHA256: hex.EncodeToString(u.digest.Sum(nil))}
	same, created, err := u.place(ctx, conflict, expect, learnt.SHA256)
	if err != nil {
		return Info{}, false, err
	}
	if err := u.syncFolders(); err != nil {
		return Info{}, false, err
	}
	if same != nil {
		return *same, false, nil
	}
	stat, err := u.temp.Stat()
	if err != nil {
		return Info{}, false, explainWrite(u.name, err)
	}
	u.store.cache.put(u.name, stat, learnt)
	return learnt.info(u.name, stat), created, nil
}

// stamp gives the file the clock's own time, since the kernel's is as coarse as
// its tick: files committed one after the other would be equally new.
func (u *Upload) stamp() error {
	now := time.Now()
	return u.store.root.Chtimes(u.temp.name, now, now)
}

// place gives the written file its name. same is set if, instead, a file with
// this content was found.
func (u *Upload) place(ctx context.Context, conflict Conflict, expect func(*Info) bool, sha string) (same *Info, created bool, err error) {
	s := u.store
	s.commit.Lock()
	defer s.commit.Unlock()
	switch conflict {
	case Refuse:
		return nil, true, u.link(u.name)
	case Number:
		same, err = u.number(ctx, sha)
		return same, true, err
	}
	before, err := u.before(ctx, expect != nil)
	if err != nil {
		return nil, false, err
	}
	if expect != nil && !expect(before) {
		return nil, false, fmt.Errorf("%s: %w", u.name, ErrPrecondition)
	}
	if err := s.root.Rename(u.temp.name, u.name); err != nil {
		return nil, false, explainWrite(u.name, err)
	}
	return nil, before == nil, nil
}

// before is the file that has the name so far, or nil; with its digest only if
// it is asked for.
func (u *Upload) before(ctx context.Context, digest bool) (*Info, error) {
	file, stat, err := u.store.open(u.name)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if !digest {
		return &Info{Name: u.name, Size: stat.Size()}, nil
	}
	info, err := u.store.describe(ctx, file, u.name, stat)
	return &info, err
}

// number finds the first free name, or a file that is the same already.
func (u *Upload) number(ctx context.Context, sha string) (*Info, error) {
	wanted := u.name
	for n := 1; n <= maxNumber; n++ {
		if n > 1 {
			extension := path.Ext(wanted)
			u.name = fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(wanted, extension), n, extension)
		}
		if err := CheckName(u.name); err != nil {
			return nil, err
		}
		err := u.link(u.name)
		if !errors.Is(err, ErrExists) {
			return nil, err
		}
		if there, err := u.before(ctx, true); err == nil && there != nil && there.SHA256 == sha {
			return there, nil
		}
	}
	return nil, fmt.Errorf("%s and %d numbered names: %w", wanted, maxNumber, ErrExists)
}

// link names the file without ever replacing another, in one step even against
// other processes. A file system without hard links has only our own lock.
func (u *Upload) link(name string) error {
	root := u.store.root
	err := root.Link(u.temp.name, name)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) {
		if _, err := root.Lstat(name); err == nil {
			return fmt.Errorf("%s: %w", name, ErrExists)
		}
		err = root.Rename(u.temp.name, name)
	}
	if err != nil {
		return explainWrite(name, err)
	}
	if err := root.Remove(u.temp.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return explainWrite(name, err)
	}
	return nil
}

// syncFolders makes the name durable, and those of the folders that lead to it.
func (u *Upload) syncFolders() error {
	for _, folder := range append(foldersOf(u.name), ".") {
		if err := u.store.syncDir(folder); err != nil {
			return err
		}
	}
	return nil
}

// foldersOf "a/b/c" are "a" and "a/b".
func foldersOf(name string) (folders []string) {
	for i, c := range name {
		if c == '/' {
			folders = append(folders, name[:i])
		}
	}
	return folders
}

// explainWrite is explain for the ways in which only writing fails.
func explainWrite(name string, err error) error {
	for _, conflict := range []error{syscall.ENOTDIR, syscall.EISDIR, syscall.ENOTEMPTY} {
		if errors.Is(err, conflict) {
			return fmt.Errorf("%s: %w", name, ErrConflict)
		}
	}
	return explain(name, err)
}
