package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/snapshotfs"
)

// Types of entries.
const (
	TypeFile      = "file"
	TypeDirectory = "directory"
	TypeSymlink   = "symlink"
)

// Entry of a record: what a file was like when it was backed up.
type Entry struct {
	// Path in the volume; "." is the volume itself. A name that is not UTF-8 is ".mockup-name:" and the name with
	// percent-encoding.
	Path string `json:"path"`
	// Type is file, directory or symlink.
	Type string `json:"type"`
	// Mode as chmod(2) has it; 0 for symbolic links.
	Mode  uint32 `json:"mode,omitempty"`
	User  uint32 `json:"user"`
	Group uint32 `json:"group"`
	// Size in bytes; 0 for folders.
	Size int64 `json:"size,omitempty"`
	// Modified in nanoseconds since 1970.
	Modified int64 `json:"modified"`
	// Digest of a file's content, with its kind before it.
	Digest string `json:"digest,omitempty"`
	// Target of a symbolic link.
	Target []byte `json:"target,omitempty"`
	// Link is the same for all names of a file that has several.
	Link string `json:"link,omitempty"`
}

// read tells whether it was, and not only listed.
func (e Entry) read() bool { return e.Digest != "" || e.Target != nil }

// like tells whether a file is so much the same that its content need not be read again.
func (e Entry) like(other Entry) bool {
	return e.Type == other.Type && e.Size == other.Size && e.Modified == other.Modified && e.Mode == other.Mode && e.User == other.User && e.Group == other.Group
}

// Record is the list of all entries of a snapshot, sorted by path.
type Record []Entry

// byPath finds entries.
func (r Record) byPath() map[string]Entry {
	out := make(map[string]Entry, len(r))
	for _, e := range r {
		out[e.Path] = e
	}
	return out
}

// totals of files and their bytes.
func (r Record) totals() (files, bytes int64) {
	for _, e := range r {
		if e.Type != TypeDirectory {
			files++
			bytes += e.Size
		}
	}
	return files, bytes
}

// below is the part of a record about a folder and all that is in it.
func (r Record) below(p string) Record {
	if p == "." {
		return r
	}
	from, found := sort.Find(len(r), func(i int) int { return strings.Compare(p, r[i].Path) })
	if !found {
		return nil
	}
	// Between "a" and "a/b" there may be "a.b".
	first := sort.Search(len(r), func(i int) bool { return r[i].Path >= p+"/" })
	end := sort.Search(len(r), func(i int) bool { return r[i].Path >= p+"0" }) // which is what follows "/"
	return append(Record{r[from]}, r[first:end]...)
}

// record what is in the snapshot, in the words of what was seen when it was read. Of files that Kopia did not read, since
// they were the same the last time, the digest is that of the last time; of folders in which nothing was changed, all is.
func (s *source) record(ctx context.Context, rep repo.Repository, root *snapshot.DirEntry, last *lastRecord) (Record, error) {
	w := &recorder{source: s, last: last.wait()}
	var before fs.Entry
	if last.of != nil && len(w.last) > 0 {
		before = snapshotfs.EntryFromDirEntry(rep, last.of.RootEntry)
	}
	w.known = w.last.byPath()
	err := w.add(ctx, ".", snapshotfs.EntryFromDirEntry(rep, root), before)
	sort.Slice(w.out, func(i, j int) bool { return w.out[i].Path < w.out[j].Path })
	return w.out, err
}

// recorder makes a record.
type recorder struct {
	*source
	last  Record
	known map[string]Entry // of last, by path
	out   Record
}

// add an entry of the snapshot and all below. Before is that of the last one in its place, if there was one.
func (r *recorder) add(ctx context.Context, p string, now, before fs.Entry) error {
	dir, isDir := now.(fs.Directory)
	if isDir && sameObject(now, before) {
		if part := r.last.below(p); r.like(part) {
			r.out = append(r.out, part...)
			return nil
		}
	}
	e := r.seen[p]
	if !e.read() {
		var err error
		if e, err = r.unread(p, r.known[p]); err != nil {
			return err
		}
	}
	r.out = append(r.out, e)
	if !isDir {
		return nil
	}
	old := children(ctx, before)
	return entries(ctx, dir, p, func(p string, child fs.Entry) error { return r.add(ctx, p, child, old[child.Name()]) })
}

func sameObject(a, b fs.Entry) bool {
	x, ok := a.(object.HasObjectID)
	y, both := b.(object.HasObjectID)
	return ok && both && x.ObjectID() == y.ObjectID()
}

// children of what may be a folder, as far as they can be read: without them, more is read now.
func children(ctx context.Context, e fs.Entry) map[string]fs.Entry {
	out := map[string]fs.Entry{}
	if dir, ok := e.(fs.Directory); ok {
		_ = fs.IterateEntries(ctx, dir, func(_ context.Context, child fs.Entry) error {
			out[child.Name()] = child
			return nil
		})
	}
	return out
}

// like tells whether all that a record says was seen again. If so, and the snapshot has the same content, its record is the same.
func (s *source) like(last Record) bool {
	for _, e := range last {
		if now, ok := s.seen[e.Path]; !ok || !e.like(now) || e.Link != now.Link {
			return false
		}
	}
	return len(last) > 0
}

// unread is a folder, or what Kopia took from the last snapshot because it looked the same. Where there is no record of
// that time, the file is read now.
func (s *source) unread(p string, before Entry) (Entry, error) {
	e, ok := s.seen[p]
	if !ok {
		return e, fmt.Errorf("recording %s: it is in the snapshot and was not in the volume", p)
	}
	if e.Type == TypeDirectory {
		return e, nil
	}
	if before.like(e) {
		e.Digest, e.Target = before.Digest, before.Target
		return e, nil
	}
	name := filepath.Join(s.root, filepath.FromSlash(originalPath(p)))
	var err error
	if e.Type == TypeSymlink {
		var target string
		target, err = os.Readlink(name)
		e.Target = []byte(target)
	} else {
		e.Digest, e.Size, err = digestFile(name, "")
	}
	if err != nil {
		return e, fmt.Errorf("recording %s: %w", p, err)
	}
	return e, nil
}

// walk calls visit for an entry of a snapshot and all below, folders first.
func walk(ctx context.Context, e fs.Entry, p string, visit func(p string, e fs.Entry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := visit(p, e); err != nil {
		return err
	}
	dir, ok := e.(fs.Directory)
	if !ok {
		return nil
	}
	return entries(ctx, dir, p, func(p string, child fs.Entry) error { return walk(ctx, child, p, visit) })
}

// entries of a folder of a snapshot, by their paths.
func entries(ctx context.Context, dir fs.Directory, p string, visit func(p string, e fs.Entry) error) error {
	return fs.IterateEntries(ctx, dir, func(ctx context.Context, child fs.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !plain(child.Name()) {
			return &Failure{Reason: ReasonDamaged, Err: fmt.Errorf("folder %s has an entry with the name %q", p, child.Name())}
		}
		return visit(path.Join(p, child.Name()), child)
	})
}

// keep the record as a snapshot of its own, which Kopia's garbage collection spares; it returns the ID.
func (r Record) keep(ctx context.Context, w repo.RepositoryWriter, of snapshot.SourceInfo, start, end fs.UTCTimestamp) (manifest.ID, error) {
	o := w.NewObjectWriter(ctx, object.WriterOptions{Description: "RECORD", Compressor: "zstd", MetadataCompressor: "zstd-fastest"})
	defer o.Close()
	buffered := bufio.NewWriterSize(o, 1<<16)
	lines := json.NewEncoder(buffered)
	for _, e := range r {
		if err := lines.Encode(e); err != nil {
			return "", fmt.Errorf("writing the record: %w", err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return "", fmt.Errorf("writing the record: %w", err)
	}
	id, err := o.Result()
	if err != nil {
		return "", fmt.Errorf("writing the record: %w", err)
	}
	man := &snapshot.Manifest{
		Source: of, StartTime: start, EndTime: end, Description: "what the source looked like",
		RootEntry: &snapshot.DirEntry{Name: "record.jsonl", Type: snapshot.EntryTypeFile, Permissions: 0o600, ModTime: end, ObjectID: id},
	}
	return snapshot.SaveSnapshot(ctx, w, man)
}

// errNoRecord is a snapshot that another program made.
var errNoRecord = errors.New("the snapshot has no record")

// recordOf a snapshot.
func (r *repository) recordOf(ctx context.Context, m *snapshot.Manifest) (Record, error) {
	id := m.Tags[recordTag]
	if id == "" {
		return nil, errNoRecord
	}
	man, err := snapshot.LoadSnapshot(ctx, r, manifest.ID(id))
	if err != nil {
		return nil, fmt.Errorf("finding the record of snapshot %s: %w", m.ID, err)
	}
	o, err := r.OpenObject(ctx, man.RootObjectID())
	if err != nil {
		return nil, fmt.Errorf("reading the record of snapshot %s: %w", m.ID, err)
	}
	defer o.Close()
	out := Record{}
	lines := json.NewDecoder(bufio.NewReaderSize(o, 1<<16))
	for {
		var e Entry
		if err := lines.Decode(&e); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the record of snapshot %s: %w", m.ID, err)
		}
		out = append(out, e)
	}
}
