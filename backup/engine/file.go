package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/kopia/kopia/fs"
	"golang.org/x/sys/unix"
)

func same(a, b string) bool {
	first, err1 := os.Lstat(a)
	second, err2 := os.Lstat(b)
	return err1 == nil && err2 == nil && os.SameFile(first, second)
}

// write a file with all that belongs to it. Blocks of zeros are left out, so that what was sparse is again.
func write(ctx context.Context, name string, e fs.File, meta Entry) error {
	in, err := e.Open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	size, err := sparseCopy(ctx, out, in)
	if err == nil {
		err = out.Truncate(size)
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return setAttributes(name, meta)
}

func sparseCopy(ctx context.Context, out *os.File, in io.Reader) (int64, error) {
	const block = 64 << 10
	buffer := make([]byte, block)
	var size int64
	for {
		n, err := io.ReadFull(in, buffer)
		if n > 0 && !zero(buffer[:n]) {
			if _, err := out.WriteAt(buffer[:n], size); err != nil {
				return size, err
			}
		}
		size += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return size, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return size, err
		}
	}
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// setAttributes of a file or folder: the owner first, since changing it takes away set-user-ID.
func setAttributes(name string, meta Entry) error {
	if err := os.Lchown(name, int(meta.User), int(meta.Group)); err != nil {
		return err
	}
	if err := os.Chmod(name, fileMode(meta.Mode)); err != nil {
		return err
	}
	return setTime(name, meta)
}

func setOwnerAndTime(name string, meta Entry) error {
	if err := os.Lchown(name, int(meta.User), int(meta.Group)); err != nil {
		return err
	}
	return setTime(name, meta)
}

func setTime(name string, meta Entry) error {
	t := unix.NsecToTimespec(meta.Modified)
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("setting the time: %w", err)
	}
	return nil
}
