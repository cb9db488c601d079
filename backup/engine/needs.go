package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/snapshotfs"
	"golang.org/x/sync/errgroup"
)

type needed struct {
	info content.Info
	by   []string
}

type neededFile struct {
	path string
	size int64
	by   []string
}

// gather what snapshots are made of, by several readers; once more by one alone where a blob had to be guessed, so that the one
// that was read last is the one that is meant.
func (v *verifier) gather(ctx context.Context, only []string) error {
	for _, readers := range []int{readers, 1} {
		v.contents, v.files = map[content.ID]*needed{}, map[object.ID]*neededFile{}
		v.out.Snapshots, v.out.Files, v.out.Bytes, v.guessed = 0, 0, 0, false
		v.out.Damaged = slices.DeleteFunc(v.out.Damaged, func(d Damage) bool { return d.Blob == "" })
		if err := v.needs(ctx, only, readers); err != nil || !v.guessed {
			return err
		}
	}
	return nil
}

// needs of snapshots: folders, files and their records.
func (v *verifier) needs(ctx context.Context, only []string, readers int) error {
	for _, volume := range v.config.Volumes {
		all, err := v.snapshots(ctx, volume.Name)
		if err != nil {
			v.untraced(err, nil)
			continue
		}
		for _, m := range all {
			if len(only) > 0 && !slices.Contains(only, string(m.ID)) {
				continue
			}
			v.out.Snapshots++
			v.needsOf(ctx, m, readers)
			if err := v.gaveUp(ctx); err != nil {
				return err
			}
		}
	}
	return v.gaveUp(ctx)
}

func (v *verifier) needsOf(ctx context.Context, m *snapshot.Manifest, readers int) {
	by := string(m.ID)
	if id := m.Tags[recordTag]; id != "" {
		if record, err := snapshot.LoadSnapshot(ctx, v, manifest.ID(id)); err != nil {
			v.untraced(fmt.Errorf("the record of snapshot %s: %w", by, err), []string{by})
		} else {
			v.object(ctx, record.RootObjectID(), by, "record")
		}
	}
	var others errgroup.Group
	others.SetLimit(readers - 1)
	v.tree(ctx, &others, snapshotfs.EntryFromDirEntry(v, m.RootEntry), ".", by)
	_ = others.Wait() // what is wrong is noted down
}

// tree goes on beside a folder that can't be read; others take folders over while they have nothing to do.
func (v *verifier) tree(ctx context.Context, others *errgroup.Group, e fs.Entry, p, by string) {
	if v.gaveUp(ctx) != nil {
		return
	}
	id, ok := e.(object.HasObjectID)
	if !ok {
		return
	}
	oid := id.ObjectID()
	if !e.IsDir() {
		v.mu.Lock()
		f := v.files[oid]
		if f == nil {
			f = &neededFile{path: p, size: e.Size()}
			v.files[oid] = f
			v.out.Files++
			v.out.Bytes += e.Size()
		}
		known := slices.Contains(f.by, by)
		f.by = append(f.by, by)
		v.mu.Unlock()
		if !known {
			v.object(ctx, oid, by, p)
		}
		return
	}
	v.object(ctx, oid, by, p)
	dir, ok := e.(fs.Directory)
	if !ok {
		return
	}
	children, err := fs.GetAllEntries(ctx, dir)
	if err != nil {
		v.unreadable(ctx, oid, p, by, err)
		return
	}
	for _, child := range children {
		look := func() error {
			v.tree(ctx, others, child, p+"/"+child.Name(), by)
			return nil
		}
		if !child.IsDir() || !others.TryGo(look) {
			_ = look()
		}
	}
}

// object notes the contents of one down.
func (v *verifier) object(ctx context.Context, oid object.ID, by, p string) {
	ids, err := v.VerifyObject(ctx, oid)
	if err != nil {
		v.unreadable(ctx, oid, p, by, err)
		return
	}
	for _, id := range ids {
		if v.knownContent(id, by) {
			continue
		}
		info, err := v.ContentReader().ContentInfo(ctx, id)
		if err != nil {
			v.unreadable(ctx, oid, p, by, err)
			return
		}
		v.mu.Lock()
		if v.contents[id] == nil {
			v.contents[id] = &needed{info: info}
		}
		v.mu.Unlock()
		v.knownContent(id, by)
	}
}

// knownContent notes down who needs a content, if it is known.
func (v *verifier) knownContent(id content.ID, by string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.contents[id]
	if n == nil {
		return false
	}
	if len(n.by) == 0 || n.by[len(n.by)-1] != by {
		n.by = append(n.by, by)
	}
	return true
}
