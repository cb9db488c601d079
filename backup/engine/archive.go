package engine

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
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

// archiveName of a snapshot: <volume>-backup-YYYYMMDD_HHMMSS.tar.gz, in the time zone of the schedule. A snapshot of the hour that
// a change of the clock repeats finds its name taken, and gets one with the offset of its time.
func (r *repository) archiveName(volume string, m *snapshot.Manifest) (name string, there bool) {
	at := m.StartTime.ToTime().In(r.config.zone())
	for _, layout := range []string{"20060102_150405", "20060102_150405-0700"} {
		name = filepath.Join(r.config.Archives.Dir, fmt.Sprintf("%s-backup-%s.tar.gz", volume, at.Format(layout)))
		switch of, err := archivedSnapshot(name); {
		case err != nil:
			return name, false
		case of == "" || of == string(m.ID):
			return name, true
		}
	}
	return name, false
}

// archivedSnapshot is what an archive says that it is of, in the comment of its header; "" where none is.
func archivedSnapshot(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	header, err := gzip.NewReader(f)
	if err != nil {
		return "", err // whatever it is, it is no archive
	}
	return strings.TrimPrefix(header.Comment, archiveComment), nil
}

const archiveComment = "snapshot "

// export a snapshot into the folder of archives. One that is there is whole, since it got its name last.
func (r *repository) export(ctx context.Context, m *snapshot.Manifest, volume string, report *Reporter) (Archive, error) {
	dir := r.config.Archives.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Archive{}, fmt.Errorf("making the folder of archives: %w", err)
	}
	name, there := r.archiveName(volume, m)
	out := Archive{Volume: volume, Snapshot: string(m.ID), File: filepath.Base(name)}
	if there {
		info, err := os.Stat(name)
		if err == nil {
			out.Bytes = info.Size()
		}
		return out, err
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
	compressed.Comment = archiveComment + string(m.ID)
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

// kept is the end of the name of a file beside an archive that somebody asked for: as long as it is there, the archive is.
const kept = ".keep"

func (c *Config) keepArchive(file string) error {
	text := "The archive was asked for and stays. Without this file it goes as the policy says.\n"
	if err := os.WriteFile(filepath.Join(c.Archives.Dir, file+kept), []byte(text), 0o600); err != nil {
		return fmt.Errorf("keeping archive %s: %w", file, err)
	}
	return nil
}

// keepArchives removes the oldest beyond those that are kept of each volume, but for those that somebody asked for, and what a
// program that was killed left.
func (c *Config) keepArchives() error {
	if c.NoPruning {
		return nil
	}
	entries, err := os.ReadDir(c.Archives.Dir)
	if err != nil {
		return fmt.Errorf("listing archives: %w", err)
	}
	there := map[string]bool{}
	for _, e := range entries {
		there[e.Name()] = true
	}
	for _, v := range c.Volumes {
		for _, name := range c.surplusArchives(v.Name, there) {
			if err := os.Remove(filepath.Join(c.Archives.Dir, name)); err != nil {
				return fmt.Errorf("removing an old archive: %w", err)
			}
		}
	}
	return nil
}

// surplusArchives of a volume.
func (c *Config) surplusArchives(volume string, there map[string]bool) []string {
	pattern := regexp.MustCompile(`^` + regexp.QuoteMeta(volume) + `-backup-\d{8}_\d{6}([+-]\d{4})?\.tar\.gz(\.part|\.keep)?$`)
	var out []string
	whole := 0
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(there))) {
		archive, asked := strings.CutSuffix(name, kept)
		switch {
		case !pattern.MatchString(name), there[name+kept]:
		case asked && there[archive]:
		case asked, strings.HasSuffix(name, ".part"):
			out = append(out, name)
		default:
			if whole++; whole > c.Archives.Keep {
				out = append(out, name)
			}
		}
	}
	return out
}
