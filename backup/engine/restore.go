package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/snapshotfs"
	"golang.org/x/sys/unix"
)

// Restored is what came back.
type Restored struct {
	Snapshot string    `json:"snapshot"`
	Volume   string    `json:"volume"`
	Time     time.Time `json:"time"`
	Files    int64     `json:"files"`
	Bytes    int64     `json:"bytes"`
	// There files were there already, from an attempt before this one.
	There int64 `json:"there,omitempty"`
	// Compared tells whether the tree was compared with its record; a snapshot of another program has none.
	Compared bool `json:"compared"`
	// Differences from the record, the first hundred of them.
	Differences []Difference `json:"differences,omitempty"`
	Different   int          `json:"different,omitempty"`
}

// unfinished is the beginning of the name of a file that is being written.
const unfinished = ".mockup-restore-"

// restoration writes a snapshot into a folder. A file that is there as it should be is left alone, so that it can be
// repeated and goes on where it ended; what was half written when it ended never has its final name.
//
// Kopia's own restoration is not used: it knows neither of hard links nor of names that are not UTF-8, and leaves out
// most of a tree, without an error, when an option is not set.
type restoration struct {
	root   string
	paths  []string
	known  map[string]Entry
	report *Reporter
	out    Restored
	dirs   []restoredDir
	// names has the first name of each file that has several.
	names map[string]string
	// anew are the files that are to be written whatever is there.
	anew map[string]bool
}

type restoredDir struct {
	name string
	meta Entry
}

// restore a snapshot into root and compare.
func (r *repository) restore(ctx context.Context, m *snapshot.Manifest, volume, root string, report *Reporter) (Restored, error) {
	want := r.config.Restore
	record, err := r.recordOf(ctx, m)
	if err != nil && !errors.Is(err, errNoRecord) {
		return Restored{}, err
	}
	compared := err == nil
	if err := os.MkdirAll(root, 0o700); err != nil {
		return Restored{}, fmt.Errorf("making the folder to restore into: %w", err)
	}
	if want.OnlyEmpty {
		if err := claim(root); err != nil {
			return Restored{}, err
		}
		want.Exact = len(want.Paths) == 0
	}
	re := &restoration{root: root, paths: want.Paths, known: record.byPath(), report: report}
	re.out = Restored{Snapshot: string(m.ID), Volume: volume, Time: m.StartTime.ToTime().UTC().Truncate(time.Second), Compared: compared}
	if err := re.prove(ctx, r, m, record, want); err != nil {
		return re.out, full(err)
	}
	if want.OnlyEmpty {
		return re.out, re.release()
	}
	return re.out, nil
}

// prove goes through the snapshot until the tree is what the record says, if there is one.
func (re *restoration) prove(ctx context.Context, r *repository, m *snapshot.Manifest, record Record, want Restore) error {
	if err := re.pass(ctx, r, m, want); err != nil || !re.out.Compared {
		return err
	}
	differences, err := re.compare(ctx, record, want)
	if err == nil && len(differences) > 0 { // files of another attempt that only looked right
		re.anew = map[string]bool{}
		for _, d := range differences {
			re.anew[d.Path] = true
		}
		re.out.Files, re.out.Bytes, re.out.There = 0, 0, 0
		if err = re.pass(ctx, r, m, want); err == nil {
			differences, err = re.compare(ctx, record, want)
		}
	}
	re.out.Different, re.out.Differences = len(differences), differences[:min(len(differences), 100)]
	if err == nil && len(differences) > 0 {
		err = &Failure{Reason: ReasonDifferent, Err: fmt.Errorf("%d differences from what was backed up, the first: %s", len(differences), differences[0])}
	}
	return err
}

// pass goes once through the whole snapshot.
func (re *restoration) pass(ctx context.Context, r *repository, m *snapshot.Manifest, want Restore) error {
	re.dirs, re.names = nil, map[string]string{}
	if want.owned != nil {
		if err := re.sweepOwned(ctx, want); err != nil {
			return err
		}
	}
	var files, bytes int64
	if s := m.RootEntry.DirSummary; s != nil {
		files, bytes = s.TotalFileCount+s.TotalSymlinkCount, s.TotalFileSize
	}
	re.report.begin("restore", re.out.Volume, files, bytes)
	present := map[string]bool{}
	found := false
	err := walk(ctx, snapshotfs.EntryFromDirEntry(r, m.RootEntry), ".", func(p string, e fs.Entry) error {
		present[p] = true
		raw := originalPath(p)
		if !concerns(raw, e.IsDir(), re.paths) {
			return nil
		}
		found = found || p != "." && within(raw, re.paths)
		if err := re.entry(ctx, p, e); err != nil {
			return fmt.Errorf("restoring %s: %w", p, err)
		}
		return nil
	})
	if err == nil && len(re.paths) > 0 && !found {
		err = &Failure{Reason: ReasonNoSnapshot, Err: fmt.Errorf("snapshot %s has none of the paths %s", m.ID, strings.Join(re.paths, ", "))}
	}
	if err == nil {
		err = re.sweep(present, want.Exact)
	}
	if err != nil {
		return err
	}
	return re.finish()
}

// metaOf an entry: that of the record, or what Kopia has kept.
func (re *restoration) metaOf(p string, e fs.Entry) Entry {
	if known, ok := re.known[p]; ok {
		return known
	}
	return Entry{
		Path: p, Type: typeOf(e.Mode()), Mode: modeOf(e.Mode()), User: e.Owner().UserID, Group: e.Owner().GroupID,
		Size: e.Size(), Modified: e.ModTime().UnixNano(),
	}
}

func (re *restoration) entry(ctx context.Context, p string, e fs.Entry) error {
	name, meta := re.name(p), re.metaOf(p, e)
	switch e := e.(type) {
	case fs.Directory:
		return re.directory(p, name, meta)
	case fs.Symlink:
		return re.symlink(ctx, name, meta, e)
	case fs.File:
		return re.file(ctx, name, meta, e)
	}
	return fmt.Errorf("it is neither file, folder nor symbolic link")
}

// directory is open to its owner until everything is in it.
func (re *restoration) directory(p, name string, meta Entry) error {
	info, err := os.Lstat(name)
	if err == nil && !info.IsDir() {
		if err = os.Remove(name); err != nil {
			return err
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Mkdir(name, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if within(originalPath(p), re.paths) || errors.Is(err, os.ErrNotExist) {
		re.dirs = append(re.dirs, restoredDir{name, meta})
	}
	return nil
}

func (re *restoration) symlink(ctx context.Context, name string, meta Entry, e fs.Symlink) error {
	target, err := e.Readlink(ctx)
	if err != nil {
		return err
	}
	if have, err := os.Readlink(name); err != nil || have != target {
		err = re.replace(name, func(next string) error { return os.Symlink(target, next) })
		if err != nil {
			return err
		}
	} else {
		re.out.There++
	}
	re.done(meta)
	return setOwnerAndTime(name, meta)
}

func (re *restoration) done(meta Entry) {
	re.out.Files++
	re.out.Bytes += meta.Size
	re.report.add(1, meta.Size)
}

func (re *restoration) file(ctx context.Context, name string, meta Entry, e fs.File) error {
	first, linked := re.names[meta.Link]
	switch {
	case meta.Link != "" && linked:
		if same(first, name) {
			re.out.There++
		} else if err := re.replace(name, func(next string) error { return os.Link(first, next) }); err != nil {
			return err
		}
		re.done(meta)
		return nil
	case meta.Link != "":
		re.names[meta.Link] = name
	}
	if re.there(name, meta) {
		re.out.There++
	} else if err := re.replace(name, func(next string) error { return write(ctx, next, e, meta) }); err != nil {
		return err
	}
	re.done(meta)
	return setAttributes(name, meta)
}

// there tells whether a file looks as if it had been restored before. It only got its name and time when it was whole;
// the comparison that follows reads it all the same.
func (re *restoration) there(name string, meta Entry) bool {
	info, err := os.Lstat(name)
	if err != nil || re.anew[meta.Path] {
		return false
	}
	n := &node{FileInfo: info, s: &source{}}
	return n.Mode().IsRegular() && n.Size() == meta.Size && n.ModTime().UnixNano() == meta.Modified && (meta.Link != "" || n.stat().Nlink == 1)
}

// replace makes a file under another name and puts it in place in one step.
func (re *restoration) replace(name string, create func(next string) error) error {
	next := filepath.Join(filepath.Dir(name), unfinished+"tmp")
	if err := os.RemoveAll(next); err != nil {
		return err
	}
	if err := create(next); err != nil {
		os.Remove(next)
		return err
	}
	if info, err := os.Lstat(name); err == nil && info.IsDir() {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	if same(next, name) { // rename(2) does nothing with two names of one file
		return os.Remove(next)
	}
	return os.Rename(next, name)
}

// sweep removes what an attempt that was cut short left and, if exact, all that the snapshot does not have.
func (re *restoration) sweep(present map[string]bool, exact bool) error {
	return filepath.WalkDir(re.root, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		p := relative(re.root, name)
		if strings.HasPrefix(d.Name(), unfinished) || exact && !present[storedPath(p)] && !ignored(p) {
			if err := os.RemoveAll(name); err != nil {
				return fmt.Errorf("removing %s, which the snapshot does not have: %w", p, err)
			}
			return skip(d)
		}
		return nil
	})
}

// compare what is there now with the record.
func (re *restoration) compare(ctx context.Context, record Record, want Restore) ([]Difference, error) {
	found, err := compare(ctx, re.root, record, want.Paths, want.Exact, re.report)
	if err != nil || want.owned == nil {
		return found, err
	}
	extra, err := re.surplus(ctx, want)
	for _, p := range extra {
		found = append(found, Difference{Path: p, What: "extra"})
	}
	return found, err
}

// sweepOwned removes what a backup would have and the record has not. A folder in which something else is left stays. It is
// done before anything is written, which may need the room.
func (re *restoration) sweepOwned(ctx context.Context, want Restore) error {
	extra, err := re.surplus(ctx, want)
	for _, p := range extra {
		if err := os.Remove(re.name(p)); err != nil {
			return fmt.Errorf("removing %s, which the snapshot does not have: %w", p, err)
		}
	}
	return err
}

// surplus are the owned paths that the record does not have, what is in a folder before the folder. A folder that has more in it than
// what is surplus is none.
func (re *restoration) surplus(ctx context.Context, want Restore) ([]string, error) {
	owned, err := want.owned(ctx)
	if err != nil {
		return nil, err
	}
	extra, inside := []string{}, map[string]int{}
	for _, p := range slices.Backward(slices.Sorted(maps.Keys(owned))) { // a folder is sorted before what is in it
		raw := originalPath(p)
		if _, known := re.known[p]; p == "." || known || !within(raw, want.Paths) || ignored(raw) {
			continue
		}
		if info, err := os.Lstat(re.name(p)); err != nil {
			return nil, fmt.Errorf("looking at %s: %w", p, err)
		} else if info.IsDir() {
			names, err := readNames(re.name(p))
			if err != nil {
				return nil, fmt.Errorf("looking into %s: %w", p, err)
			}
			if len(names) > inside[p] {
				continue
			}
		}
		extra = append(extra, p)
		inside[path.Dir(p)]++
	}
	return extra, nil
}

// name in the file system of a path as it is stored.
func (re *restoration) name(p string) string {
	return filepath.Join(re.root, filepath.FromSlash(originalPath(p)))
}

// finish gives folders what belongs to them, the deepest first: whatever is made in one changes its time.
func (re *restoration) finish() error {
	sort.SliceStable(re.dirs, func(i, j int) bool { return len(re.dirs[i].name) > len(re.dirs[j].name) })
	for _, d := range re.dirs {
		if err := setAttributes(d.name, d.meta); err != nil {
			return fmt.Errorf("restoring folder %s: %w", relative(re.root, d.name), err)
		}
	}
	f, err := os.Open(re.root)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
