package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Listing is all that the folder holds.
type Listing struct {
	Files   []Info
	Skipped []Skipped
}

// Skipped is something in the folder that cannot be served, and why.
type Skipped struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// List lists the files by name, each with its type; digests are given as far as
// they are known already, since computing them means reading everything.
func (s *Store) List(ctx context.Context) (Listing, error) {
	list := Listing{Files: []Info{}}
	skip := func(name, reason string) {
		list.Skipped = append(list.Skipped, Skipped{name, reason})
	}
	err := s.walk(ctx, visitor{skip: skip, file: func(name string, stat fs.FileInfo) {
		info, err := s.glance(name, stat)
		switch {
		case err == nil:
			list.Files = append(list.Files, info)
		case !errors.Is(err, ErrNotFound): // else it was deleted meanwhile
			skip(name, "cannot be read: "+rootCause(err))
		}
	}})
	if err != nil {
		return Listing{}, err
	}
	slices.SortFunc(list.Files, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	s.cache.retain(list.Files)
	return list, nil
}

// Usage counts the files and their bytes.
func (s *Store) Usage(ctx context.Context) (files, bytes int64, err error) {
	err = s.walk(ctx, visitor{file: func(_ string, stat fs.FileInfo) {
		files++
		bytes += stat.Size()
	}})
	return files, bytes, err
}

// visitor is what walk calls for what it meets; each part may be nil.
type visitor struct {
	file func(name string, stat fs.FileInfo)
	temp func(name string) error
	skip func(name, reason string)
}

// walk goes through the folder. What vanishes meanwhile is passed over.
func (s *Store) walk(ctx context.Context, v visitor) error {
	return fs.WalkDir(s.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist) && name != ".":
			return nil
		case err != nil && name == ".":
			return fmt.Errorf("reading the data folder: %w", err)
		case err != nil:
			v.skipped(name, "cannot be read: "+rootCause(err))
			return fs.SkipDir
		case name == ".":
			return nil
		}
		return s.visit(v, name, entry)
	})
}

func (s *Store) visit(v visitor, name string, entry fs.DirEntry) error {
	switch {
	case hidden(entry.Name()) && entry.IsDir():
		return fs.SkipDir
	case isTemp(name) && v.temp != nil:
		return v.temp(name)
	case hidden(entry.Name()), entry.IsDir():
		return nil
	case !entry.Type().IsRegular():
		v.skipped(name, "is not a regular file")
		return nil
	case v.file == nil:
		return nil
	}
	if err := CheckName(name); err != nil {
		v.skipped(name, err.Error())
		return nil
	}
	stat, err := s.root.Lstat(name)
	if err != nil {
		return nil // gone meanwhile
	}
	v.file(name, stat)
	return nil
}

func (v visitor) skipped(name, reason string) {
	if v.skip != nil {
		v.skip(name, reason)
	}
}

// rootCause is an error without the names around it, which the caller gives.
func rootCause(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}
