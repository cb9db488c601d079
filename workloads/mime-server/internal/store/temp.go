package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// tempPrefix marks files that are being written.
const tempPrefix = ".upload-"

// temp is a file being written, beside the place it is meant for. A lock, which
// ends with the process that holds it, tells it from the leftover of a crash.
type temp struct {
	*os.File
	root *os.Root
	name string
}

func createTemp(root *os.Root, dir string) (*temp, error) {
	name := path.Join(dir, tempPrefix+rand.Text())
	file, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	t := &temp{File: file, root: root, name: name}
	if locked(file) {
		return nil, errors.Join(t.discard(), fmt.Errorf("%s was taken for a leftover by another process", name))
	}
	return t, nil
}

// discard removes the file; after it was renamed, it only closes it.
func (t *temp) discard() error {
	removed := t.root.Remove(t.name)
	if errors.Is(removed, fs.ErrNotExist) {
		removed = nil
	}
	return errors.Join(t.Close(), removed)
}

// locked takes the lock on file and says whether somebody else holds it. Where
// a file system knows no locks nobody does.
func locked(file *os.File) bool {
	return errors.Is(syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// removeLeftovers removes what processes that are gone were writing.
func (s *Store) removeLeftovers(ctx context.Context) error {
	return s.walk(ctx, visitor{temp: func(name string) error {
		file, err := s.root.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("opening leftover %s: %w", name, err)
		}
		defer file.Close()
		if locked(file) {
			return nil
		}
		s.log.Info("removing a leftover of an upload that was cut off", "file", name)
		if err := s.root.Remove(name); err != nil {
			return fmt.Errorf("removing leftover %s: %w", name, err)
		}
		return nil
	}})
}

func isTemp(name string) bool { return strings.HasPrefix(path.Base(name), tempPrefix) }
