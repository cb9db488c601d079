package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"

	"mockup.dev/mockup/workloads/mime-server/internal/content"
)

// describe gives all that is known of an open file, and reads it once for that
// if its content has not been seen before. It leaves file at its start.
func (s *Store) describe(ctx context.Context, file *os.File, name string, stat fs.FileInfo) (Info, error) {
	if known, ok := s.cache.get(name, stat); ok && known.SHA256 != "" {
		return known.info(name, stat), nil
	}
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return Info{}, ctx.Err()
	}
	// Whoever held our place may have read this very file.
	if known, ok := s.cache.get(name, stat); ok && known.SHA256 != "" {
		return known.info(name, stat), nil
	}
	learnt, err := learn(ctx, file, name)
	if err != nil {
		return Info{}, err
	}
	if after, err := file.Stat(); err == nil && identify(after) == identify(stat) {
		s.cache.put(name, stat, learnt)
	}
	return learnt.info(name, stat), nil
}

// glance gives what a list shows: the type costs no more than a file's head.
func (s *Store) glance(name string, stat fs.FileInfo) (Info, error) {
	if known, ok := s.cache.get(name, stat); ok {
		return known.info(name, stat), nil
	}
	file, stat, err := s.open(name)
	if err != nil {
		return Info{}, err
	}
	defer file.Close()
	mediaType, err := content.Type(file, name)
	if err != nil {
		return Info{}, err
	}
	learnt := facts{Type: mediaType}
	s.cache.put(name, stat, learnt)
	return learnt.info(name, stat), nil
}

// learn reads a whole file.
func learn(ctx context.Context, file *os.File, name string) (facts, error) {
	mediaType, err := content.Type(file, name)
	if err != nil {
		return facts{}, err
	}
	digest := sha256.New()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return facts{}, fmt.Errorf("reading %s again: %w", name, err)
	}
	if _, err := io.Copy(digest, cancelable{ctx, file}); err != nil {
		return facts{}, fmt.Errorf("computing the digest of %s: %w", name, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return facts{}, fmt.Errorf("reading %s again: %w", name, err)
	}
	return facts{Type: mediaType, SHA256: hex.EncodeToString(digest.Sum(nil))}, nil
}

// cancelable ends reading a long file when nobody waits for it any more.
type cancelable struct {
	ctx context.Context
	io.Reader
}

func (c cancelable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}
