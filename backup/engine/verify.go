package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/repo/format"
	"github.com/kopia/kopia/repo/object"
	"golang.org/x/sync/errgroup"
)

// Ways to verify.
const (
	VerifyQuick  = "quick"
	VerifySample = "sample"
	VerifyFull   = "full"
)

// Verification is what was looked at, and what is wrong.
type Verification struct {
	Mode      string `json:"mode"`
	Snapshots int    `json:"snapshots"`
	// Files and Bytes of the snapshots, each content counted once, and those of them whose content was read.
	Files     int64 `json:"files"`
	Bytes     int64 `json:"bytes"`
	FilesRead int64 `json:"filesRead"`
	BytesRead int64 `json:"bytesRead"`
	// Damaged blobs.
	Damaged []Damage `json:"damaged,omitempty"`
}

// Damage of a blob, or of something that can't be traced to one.
type Damage struct {
	Blob    string `json:"blob,omitempty"`
	Problem string `json:"problem"`
	// Snapshots that need it.
	Snapshots []string `json:"snapshots,omitempty"`
}

// verifier of a repository.
type verifier struct {
	*repository
	report *Reporter
	blobs  map[blob.ID]blob.Metadata
	mu     sync.Mutex
	out    Verification
	// guessed says that a blob was named because it was read last.
	guessed bool
	// failed says why something could not be looked at.
	failed error
	// contents that are needed, and by which snapshots; files by their object.
	contents map[content.ID]*needed
	files    map[object.ID]*neededFile
}

// verify snapshots, those given or all. What is damaged is in the result; an error means that it could not be told.
func (r *repository) verify(ctx context.Context, how Verify, only []string, report *Reporter) (Verification, error) {
	v := &verifier{repository: r, report: report}
	v.out.Mode = how.Mode
	if v.out.Mode == "" {
		v.out.Mode = VerifyQuick
	}
	report.begin("verify", "", 0, 0)
	var err error
	if v.blobs, err = blob.ReadBlobMap(ctx, r.BlobReader()); err != nil {
		return v.out, fmt.Errorf("listing the blobs: %w", err)
	}
	v.formatBlobs()
	known, err := r.inventory(ctx)
	switch {
	case errors.Is(err, errInventory):
		v.damaged(inventoryID, "can't be read", nil)
		err = nil
	case err != nil:
		return v.out, err
	}
	for _, d := range known.missing(v.blobs) {
		v.damaged(blob.ID(d.Blob), d.Problem, nil)
	}
	if err := v.gather(ctx, only); err != nil {
		return v.out, err
	}
	v.present()
	switch how.Mode {
	case VerifyFull:
		err = v.readAll(ctx)
	case VerifySample:
		err = v.readSome(ctx, how.Percent)
	}
	sort.Slice(v.out.Damaged, func(i, j int) bool { return v.out.Damaged[i].Blob < v.out.Damaged[j].Blob })
	return v.out, err
}

// formatBlobs are those without which the repository could not be opened another time.
func (v *verifier) formatBlobs() {
	for _, id := range []blob.ID{format.KopiaRepositoryBlobID, format.KopiaBlobCfgBlobID} {
		if _, ok := v.blobs[id]; !ok {
			v.damaged(id, "is missing", nil)
		}
	}
}

// damaged notes a blob down, once.
func (v *verifier) damaged(id blob.ID, problem string, snapshots []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.out.Damaged {
		d := &v.out.Damaged[i]
		if d.Blob == string(id) && (id != "" || d.Problem == problem) {
			for _, s := range snapshots {
				if !slices.Contains(d.Snapshots, s) {
					d.Snapshots = append(d.Snapshots, s)
				}
			}
			return
		}
	}
	v.out.Damaged = append(v.out.Damaged, Damage{Blob: string(id), Problem: problem, Snapshots: slices.Clone(snapshots)})
}

// cannotTell notes down, once, that something could not be looked at: of a repository that can't be reached, or of which nobody
// waits for an answer, nothing is known.
func (v *verifier) cannotTell(cause error) bool {
	if cause == nil || ReasonOf(cause) != ReasonUnavailable && ReasonOf(cause) != ReasonClock &&
		!errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failed == nil {
		v.failed = cause
	}
	return true
}

// gaveUp is why it makes no sense to go on, if so.
func (v *verifier) gaveUp(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return errors.Join(v.failed, ctx.Err())
}

// untraced is damage of which the blob is not known but by what was read last.
func (v *verifier) untraced(err error, snapshots []string) {
	if v.cannotTell(err) {
		return
	}
	v.mu.Lock()
	v.guessed = true
	v.mu.Unlock()
	v.damaged("", v.storage.suspect(err).Error(), snapshots)
}

// unreadable is an object whose own list, of contents or of entries, can't be read. Its blob is found by its contents.
func (v *verifier) unreadable(ctx context.Context, oid object.ID, p, by string, cause error) {
	for {
		next, indirect := oid.IndexObjectID()
		if !indirect {
			break
		}
		oid = next
	}
	if id, _, ok := oid.ContentID(); ok {
		if info, err := v.ContentReader().ContentInfo(ctx, id); err == nil {
			v.broken(info, cause, []string{by})
			return
		}
	}
	v.untraced(fmt.Errorf("%s of snapshot %s: %w", p, by, cause), []string{by})
}

// broken notes down the blob of a content that can't be read, unless the cause says nothing about it.
func (v *verifier) broken(info content.Info, cause error, by []string) {
	problem := v.lacking(info)
	if problem == "" {
		if v.cannotTell(cause) {
			return
		}
		problem = "can't be read: " + cause.Error()
	}
	v.damaged(info.PackBlobID, problem, by)
}

// lacking is what can be told about the blob of a content without reading it, empty if it is there as a whole.
func (v *verifier) lacking(info content.Info) string {
	m, ok := v.blobs[info.PackBlobID]
	switch end := int64(info.PackOffset) + int64(info.PackedLength); {
	case !ok:
		return "is missing"
	case m.Length < end:
		return fmt.Sprintf("has %d bytes, where %d are needed at least", m.Length, end)
	}
	return ""
}

// present tells whether every blob that contents are in is there and long enough.
func (v *verifier) present() {
	for _, n := range v.contents {
		if problem := v.lacking(n.info); problem != "" {
			v.damaged(n.info.PackBlobID, problem, n.by)
		}
	}
}

// readers at once: reading is mostly decryption.
const readers = 4

// readAll reads every content. Kopia's encryption tells a content that was changed from one that was not.
func (v *verifier) readAll(ctx context.Context) error {
	var total int64
	for _, n := range v.contents {
		total += int64(n.info.OriginalLength)
	}
	v.report.begin("verify", "contents", int64(len(v.contents)), total)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for id, n := range v.contents {
		group.Go(func() error {
			if _, err := v.ContentReader().GetContent(ctx, id); ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil {
				v.broken(n.info, err, n.by)
				return v.gaveUp(ctx)
			}
			v.report.add(1, int64(n.info.OriginalLength))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	v.out.FilesRead, v.out.BytesRead = v.out.Files, v.out.Bytes
	return nil
}

// readSome reads the content of some files, chosen anew each time.
func (v *verifier) readSome(ctx context.Context, percent float64) error {
	chosen := slices.Collect(maps.Keys(v.files))
	rand.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	chosen = chosen[:int(math.Ceil(float64(len(chosen))*percent/100))] // one at least: a sample of nothing proves nothing
	var total int64
	for _, id := range chosen {
		total += v.files[id].size
	}
	v.report.begin("verify", "files", int64(len(chosen)), total)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, id := range chosen {
		group.Go(func() error {
			f := v.files[id]
			n, err := v.readObject(ctx, id)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				v.unreadableFile(ctx, id, f, err)
				return v.gaveUp(ctx)
			}
			v.report.add(1, n)
			v.mu.Lock()
			defer v.mu.Unlock()
			v.out.FilesRead++
			v.out.BytesRead += n
			return nil
		})
	}
	return group.Wait()
}

func (v *verifier) readObject(ctx context.Context, id object.ID) (int64, error) {
	o, err := v.OpenObject(ctx, id)
	if err != nil {
		return 0, err
	}
	defer o.Close()
	return io.Copy(io.Discard, o)
}

// unreadableFile finds the contents of a file that are at fault.
func (v *verifier) unreadableFile(ctx context.Context, id object.ID, f *neededFile, cause error) {
	ids, err := v.VerifyObject(ctx, id)
	if err != nil {
		v.unreadable(ctx, id, f.path, f.by[0], err)
		return
	}
	found := false
	for _, id := range ids {
		if _, err := v.ContentReader().GetContent(ctx, id); err != nil {
			v.broken(v.contents[id].info, err, v.contents[id].by)
			found = true
		}
	}
	if !found {
		v.untraced(fmt.Errorf("%s: %w", f.path, cause), f.by)
	}
}

// only tells whether a blob is all that is damaged.
func (out Verification) only(id blob.ID) bool {
	return len(out.Damaged) == 1 && out.Damaged[0].Blob == string(id)
}

// failure is nil if nothing is damaged.
func (out Verification) failure() error {
	if len(out.Damaged) == 0 {
		return nil
	}
	d := out.Damaged[0]
	text := d.Problem
	if d.Blob != "" {
		text = "blob " + d.Blob + " " + text
	}
	if n := len(out.Damaged) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return &Failure{Reason: ReasonDamaged, Err: fmt.Errorf("%s", text)}
}
