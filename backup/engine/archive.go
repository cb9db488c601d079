package engine

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/snapshotfs"
)

// Archive is a portable copy of a snapshot.
type Archive struct {
	Volume   string `json:"volume"`
	Snapshot string `json:"snapshot"`
	File     string `json:"file"`
	Bytes    int64  `json:"bytes"`
}

// archiveName of a snapshot: <volume>-backup-YYYYMMDD_HHMMSS.tar.gz, in the time zone of the schedule.
func archiveName(volume string, at time.Time) string {
	return fmt.Sprintf("%s-backup-%s.tar.gz", volume, at.Format("20060102_150405"))
}

// export a snapshot into the folder of archives. One that is there is whole, since it got its name last.
func (r *repository) export(ctx context.Context, m *snapshot.Manifest, volume string, report *Reporter) (Archive, error) {
	dir := r.config.Archives.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Archive{}, fmt.Errorf("making the folder of archives: %w", err)
	}
	name := filepath.Join(dir, archiveName(volume, m.StartTime.ToTime().In(r.config.zone())))
	out := Archive{Volume: volume, Snapshot: string(m.ID), File: filepath.Base(name)}
	if info, err := os.Stat(name); err == nil {
		out.Bytes = info.Size()
		return out, nil
	}
	record, err := r.recordOf(ctx, m)
	if err != nil && err != errNoRecord { //nolint:errorlint // it comes as it is
		return out, err
	}
	report.begin("export", volume, int64(len(record)), 0)
	f, err := os.OpenFile(name+".part", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return out, fmt.Errorf("exporting %s: %w", volume, err)
	}
	defer f.Close()
	defer os.Remove(f.Name()) // it has another name when all is well
	if err := r.writeArchive(ctx, f, m, record, report); err != nil {
		return out, fmt.Errorf("exporting %s: %w", volume, err)
	}
	if out.Bytes, err = f.Seek(0, io.SeekCurrent); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return out, fmt.Errorf("exporting %s: %w", volume, err)
	}
	return out, nil
}

func (r *repository) writeArchive(ctx context.Context, w io.Writer, m *snapshot.Manifest, record Record, report *Reporter) error {
	compressed := gzip.NewWriter(w)
	t := tar.NewWriter(compressed)
	re := &restoration{known: record.byPath(), names: map[string]string{}}
	err := walk(ctx, snapshotfs.EntryFromDirEntry(r, m.RootEntry), ".", func(p string, e fs.Entry) error {
		report.add(1, e.Size())
		return archiveEntry(ctx, t, re.metaOf(p, e), re.names, e)
	})
	if err == nil {
		err = t.Close()
	}
	if err == nil {
		err = compressed.Close()
	}
	return err
}

func archiveEntry(ctx context.Context, t *tar.Writer, meta Entry, names map[string]string, e fs.Entry) error {
	name := "./" + originalPath(meta.Path)
	h := &tar.Header{
		Name: name, Mode: int64(meta.Mode), Uid: int(meta.User), Gid: int(meta.Group),
		ModTime: time.Unix(0, meta.Modified), Format: tar.FormatPAX,
	}
	switch e := e.(type) {
	case fs.Directory:
		h.Typeflag, h.Name = tar.TypeDir, strings.TrimSuffix(name, ".")+"/"
		if meta.Path == "." {
			h.Name = "./"
		}
		return t.WriteHeader(h)
	case fs.Symlink:
		target, err := e.Readlink(ctx)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, target, 0o777
		return t.WriteHeader(h)
	case fs.File:
		if first, ok := names[meta.Link]; ok && meta.Link != "" {
			h.Typeflag, h.Linkname = tar.TypeLink, first
			return t.WriteHeader(h)
		}
		if meta.Link != "" {
			names[meta.Link] = name
		}
		h.Typeflag, h.Size = tar.TypeReg, meta.Size
		return archiveFile(ctx, t, h, e)
	}
	return fmt.Errorf("%s is neither file, folder nor symbolic link", meta.Path)
}

func archiveFile(ctx context.Context, t *tar.Writer, h *tar.Header, e fs.File) error {
	in, err := e.Open(ctx)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(t, in)
	return err
}

// keepArchives removes the oldest beyond those that are kept of each volume, and what a program that was killed left.
func (c *Config) keepArchives() error {
	if c.Archives.Dir == "" {
		return nil
	}
	for _, v := range c.Volumes {
		pattern := regexp.MustCompile(`^` + regexp.QuoteMeta(v.Name) + `-backup-\d{8}_\d{6}\.tar\.gz(\.part)?$`)
		entries, err := os.ReadDir(c.Archives.Dir)
		if err != nil {
			return fmt.Errorf("listing archives: %w", err)
		}
		var names []string
		for _, e := range entries {
			if pattern.MatchString(e.Name()) {
				names = append(names, e.Name())
			}
		}
		slices.Sort(names)
		slices.Reverse(names)
		whole := 0
		for _, name := range names {
			part := strings.HasSuffix(name, ".part")
			if !part {
				whole++
			}
			if part || c.Archives.Keep > 0 && whole > c.Archives.Keep {
				if err := os.Remove(filepath.Join(c.Archives.Dir, name)); err != nil {
					return fmt.Errorf("removing an old archive: %w", err)
				}
			}
		}
	}
	return nil
}
