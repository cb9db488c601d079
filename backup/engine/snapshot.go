package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	kopiafs "github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/compression"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/policy"
	"github.com/kopia/kopia/snapshot/upload"
)

// compressors by their names in a configuration.
var compressors = map[string]compression.Name{ //nolint:gochecknoglobals // a table that nothing writes to
	"": "zstd", "zstd": "zstd", "zstd-fastest": "zstd-fastest", "zstd-better-compression": "zstd-better-compression",
	"s2-default": "s2-default", "none": "none",
}

// snapshotPolicy is what is stored and how. Kopia's defaults are taken where they leave nothing out: by those, folders
// with a CACHEDIR.TAG and what a .kopiaignore names would be missing from backups.
func (c *Config) snapshotPolicy() *policy.Tree {
	p := *policy.DefaultPolicy
	p.FilesPolicy = policy.FilesPolicy{IgnoreRules: c.Exclude, IgnoreCacheDirectories: policy.NewOptionalBool(false)}
	p.CompressionPolicy = policy.CompressionPolicy{CompressorName: compressors[c.Compression]}
	p.ErrorHandlingPolicy = policy.ErrorHandlingPolicy{}
	never := policy.OptionalInt64(-1) // a file is read in one go, for its digest
	p.UploadPolicy.ParallelUploadAboveSize = &never
	return policy.BuildTree(map[string]*policy.Policy{".": &p}, &p) // rules of exclusion count where they are defined
}

// Snapshot of a volume.
type Snapshot struct {
	ID     string    `json:"id"`
	Volume string    `json:"volume"`
	Time   time.Time `json:"time"`
	// Seconds that it took.
	Seconds float64 `json:"seconds,omitempty"`
	Files   int64   `json:"files"`
	Bytes   int64   `json:"bytes"`
	// Unchanged files were not read again.
	Unchanged int64 `json:"unchanged,omitempty"`
	// NewBytes were added to the repository.
	NewBytes int64 `json:"newBytes,omitempty"`
	// Unstable files were written to while they were read.
	Unstable []string `json:"unstable,omitempty"`
	// Special files (sockets, pipes, devices) are in no backup.
	Special []string `json:"special,omitempty"`
	// Kept says by which rules of retention it is kept.
	Kept []string `json:"kept,omitempty"`
}

// snapshot stores a volume.
func (r *repository) snapshot(ctx context.Context, v Volume, report *Reporter) (Snapshot, error) {
	return r.take(ctx, v, report, "")
}

// take a snapshot, and its record with it: both are there or neither. With a tag, it is one that takes nothing over from the
// last: every file is read.
func (r *repository) take(ctx context.Context, v Volume, report *Reporter, tag string) (Snapshot, error) {
	src := newSource(v.Path, r.config.Include)
	dir, err := src.directory()
	if err != nil {
		return Snapshot{}, err
	}
	of := r.source(volumePath, v.Name)
	var previous []*snapshot.Manifest
	if tag == "" {
		if previous, err = snapshot.FindPreviousManifests(ctx, r, of, nil); err != nil {
			return Snapshot{}, fmt.Errorf("finding the last snapshot of %s: %w", v.Name, err)
		}
	}
	last := r.lastRecord(ctx, previous)
	defer last.wait()
	files, bytes := last.totals()
	report.begin("backup", v.Name, files, bytes)
	began := r.config.now()
	progress := &uploading{Reporter: report, known: files > 0}
	var man *snapshot.Manifest
	var written int64
	options := repo.WriteSessionOptions{Purpose: "backup", OnUpload: func(n int64) { written += n }}
	vital, end := r.storage.vital(ctx)
	defer end()
	err = repo.WriteSession(vital, r, options, func(ctx context.Context, w repo.RepositoryWriter) error {
		u := upload.NewUploader(w)
		u.Progress, u.FailFast = progress, false
		if man, err = u.Upload(ctx, dir, r.config.snapshotPolicy(), of, previous...); err != nil {
			return fmt.Errorf("backing up %s: %w", v.Name, err)
		}
		if err := progress.failure(v); err != nil {
			return err
		}
		if man.IncompleteReason != "" {
			return fmt.Errorf("backing up %s: incomplete: %s", v.Name, man.IncompleteReason)
		}
		took := man.EndTime.Sub(man.StartTime)
		man.StartTime = kopiafs.UTCTimestampFromTime(began)
		man.EndTime = man.StartTime.Add(took)
		if tag != "" {
			man.Tags = map[string]string{tag: "true"}
		}
		return r.save(ctx, w, v, src, man, last)
	})
	if lost := context.Cause(vital); err != nil && lost != nil && ctx.Err() == nil {
		err = fmt.Errorf("backing up %s: %w", v.Name, lost)
	}
	if err != nil {
		return Snapshot{}, err
	}
	out := described(v.Name, man)
	out.Unchanged, out.NewBytes, out.Unstable, out.Special = int64(man.Stats.CachedFiles), written, src.unstable, slices.Sorted(maps.Keys(src.special))
	return out, nil
}

// save the record and the snapshot that names it.
func (r *repository) save(ctx context.Context, w repo.RepositoryWriter, v Volume, src *source, man *snapshot.Manifest, last *lastRecord) error {
	record, err := src.record(ctx, w, man.RootEntry, last)
	if err != nil {
		return err
	}
	id, err := record.keep(ctx, w, r.source(recordPath, v.Name), man.StartTime, man.EndTime)
	if err != nil {
		return err
	}
	if man.Tags == nil {
		man.Tags = map[string]string{}
	}
	man.Tags[recordTag] = string(id)
	if _, err := snapshot.SaveSnapshot(ctx, w, man); err != nil {
		return fmt.Errorf("saving the snapshot of %s: %w", v.Name, err)
	}
	return nil
}

// lastRecord is that of the newest of the snapshots from which Kopia takes what has not changed, read beside the backup. Without
// it, or where it can't be read, digests are made anew.
type lastRecord struct {
	of   *snapshot.Manifest
	wait func() Record
}

// totals of files and bytes that there were, 0 if nobody knows.
func (l *lastRecord) totals() (files, bytes int64) {
	if l.of == nil {
		return 0, 0
	}
	d := described("", l.of)
	return d.Files, d.Bytes
}

func (r *repository) lastRecord(ctx context.Context, previous []*snapshot.Manifest) *lastRecord {
	for _, m := range snapshot.SortByTime(previous, true) {
		if m.IncompleteReason != "" {
			continue
		}
		read := sync.OnceValue(func() Record {
			record, _ := r.recordOf(ctx, m)
			return record
		})
		go read()
		return &lastRecord{m, read}
	}
	return &lastRecord{wait: func() Record { return nil }}
}

// failure names the first file that could not be read or stored; one that was removed meanwhile is no failure.
func (u *uploading) failure(v Volume) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, f := range u.failed {
		var read *os.PathError
		switch {
		case !errors.As(f.err, &read) || !strings.HasPrefix(read.Path, v.Path):
			return &Failure{Reason: ReasonOf(f.err), Err: fmt.Errorf("storing %s of volume %s: %w", f.path, v.Name, f.err)}
		case !errors.Is(f.err, os.ErrNotExist):
			return &Failure{Reason: ReasonSource, Err: fmt.Errorf("reading %s of volume %s: %w", f.path, v.Name, f.err)}
		}
	}
	return nil
}

// described is a snapshot as it is reported.
func described(volume string, m *snapshot.Manifest) Snapshot {
	out := Snapshot{
		ID: string(m.ID), Volume: volume, Time: m.StartTime.ToTime().UTC().Truncate(time.Second),
		Seconds: m.EndTime.Sub(m.StartTime).Round(time.Millisecond).Seconds(),
	}
	if m.RootEntry != nil && m.RootEntry.DirSummary != nil {
		out.Files, out.Bytes = m.RootEntry.DirSummary.TotalFileCount+m.RootEntry.DirSummary.TotalSymlinkCount, m.RootEntry.DirSummary.TotalFileSize
	}
	return out
}
