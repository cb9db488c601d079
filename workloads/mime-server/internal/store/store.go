// Package store keeps files in a folder so that a crash at any point loses no
// file that was acknowledged and shows no half of one.
//
// The folder is the only truth: a file named x is the file x in it, and the
// rename that puts it there is the one moment at which it comes to be. What is
// known beyond that (type and digest) follows from the content. It is kept in
// a cache that may be lost at any time, so a folder of plain files that was
// here before works as it is.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"sync"
	"syscall"
	"time"
)

// Errors to tell apart; wrapped with the name they are about.
var (
	ErrNotFound     = errors.New("no such file")
	ErrExists       = errors.New("a file of this name exists")
	ErrConflict     = errors.New("the name is taken by a folder, or lies under a file")
	ErrFull         = errors.New("no space is left")
	ErrPrecondition = errors.New("the file is not the one expected")
)

// Store is a folder of files. Its methods may be called at the same time, and
// several processes may share the folder.
type Store struct {
	root  *os.Root
	dir   string
	log   *slog.Logger
	cache *cache
	// commit makes looking at a name and changing it one step.
	commit sync.Mutex
	// hashing bounds how many digests are computed at once.
	hashing chan struct{}
	// syncFile and syncFolder put written data beyond the reach of a crash.
	syncFile, syncFolder func(*os.File) error
}

// Info is what is known about a file.
type Info struct {
	Name     string    `json:"name"`
	Size     int64     `json:"size"` // bytes
	Type     string    `json:"type"`
	SHA256   string    `json:"sha256,omitempty"` // hexadecimal; in a list only if known already
	Modified time.Time `json:"modified"`
}

// ETag is the strong entity tag of the file's content.
func (i Info) ETag() string { return `"sha256-` + i.SHA256 + `"` }

// Open opens the folder dir and clears away what a crash left half written.
func Open(ctx context.Context, dir string, log *slog.Logger) (*Store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the data folder: %w", err)
	}
	s := &Store{
		root:       root,
		dir:        dir,
		log:        log,
		cache:      newCache(root, log),
		hashing:    make(chan struct{}, 2),
		syncFile:   (*os.File).Sync,
		syncFolder: (*os.File).Sync,
	}
	if err := s.removeLeftovers(ctx); err != nil {
		root.Close()
		return nil, err
	}
	s.cache.load()
	return s, nil
}

// Close keeps what was learnt about the files for the next start.
func (s *Store) Close(context.Context) error {
	return errors.Join(s.cache.save(), s.root.Close())
}

// Check reports why files cannot be kept at present. A full disk is no reason
// to stop serving the files that are there: it fails uploads, with 507.
func (s *Store) Check(context.Context) error {
	probe, err := createTemp(s.root, ".")
	if isFull(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("uid %d cannot write to %s: %w", os.Getuid(), s.dir, err)
	}
	return probe.discard()
}

// Open returns a file with all that is known of it; the caller closes it. A
// file that is replaced meanwhile stays readable, whole, as it was.
func (s *Store) Open(ctx context.Context, name string) (*os.File, Info, error) {
	file, stat, err := s.open(name)
	if err != nil {
		return nil, Info{}, err
	}
	info, err := s.describe(ctx, file, name, stat)
	if err != nil {
		file.Close()
		return nil, Info{}, err
	}
	return file, info, nil
}

// open opens regular files only: a pipe in an adopted folder would block, and
// what a symbolic link means is not ours to say.
func (s *Store) open(name string) (*os.File, fs.FileInfo, error) {
	if err := CheckName(name); err != nil {
		return nil, nil, err
	}
	if err := s.checkFolders(name); err != nil {
		return nil, nil, explain(name, err)
	}
	stat, err := s.root.Lstat(name)
	if err != nil {
		return nil, nil, explain(name, err)
	}
	if !stat.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	file, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, explain(name, err)
	}
	if stat, err = file.Stat(); err != nil {
		file.Close()
		return nil, nil, explain(name, err)
	}
	return file, stat, nil
}

// checkFolders fails with ENOTDIR unless every part of name but the last is a
// folder, and none a link to one: what List does not enter has no files.
func (s *Store) checkFolders(name string) error {
	for _, folder := range foldersOf(name) {
		stat, err := s.root.Lstat(folder)
		if err != nil {
			return err
		}
		if !stat.IsDir() {
			return syscall.ENOTDIR
		}
	}
	return nil
}

// Delete removes a file, if expect accepts it; expect may be nil.
func (s *Store) Delete(ctx context.Context, name string, expect func(*Info) bool) error {
	if err := s.remove(ctx, name, expect); err != nil {
		return err
	}
	s.cache.forget(name)
	return s.syncDir(path.Dir(name))
}

func (s *Store) remove(ctx context.Context, name string, expect func(*Info) bool) error {
	s.commit.Lock()
	defer s.commit.Unlock()
	file, stat, err := s.open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if expect != nil {
		info, err := s.describe(ctx, file, name, stat)
		if err != nil {
			return err
		}
		if !expect(&info) {
			return fmt.Errorf("%s: %w", name, ErrPrecondition)
		}
	}
	if err := s.root.Remove(name); err != nil {
		return explain(name, err)
	}
	return nil
}

func (s *Store) syncDir(dir string) error {
	folder, err := s.root.Open(dir)
	if err != nil {
		return fmt.Errorf("opening folder %s to sync it: %w", dir, err)
	}
	defer folder.Close()
	if err := s.syncFolder(folder); err != nil {
		return fmt.Errorf("syncing folder %s: %w", dir, err)
	}
	return nil
}

// explain translates what the file system says into the errors of this package.
func explain(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s: %w", name, ErrNotFound)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s: %w", name, ErrExists)
	case isFull(err):
		return fmt.Errorf("%s: %w", name, ErrFull)
	}
	return fmt.Errorf("%s: %w", name, err)
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
