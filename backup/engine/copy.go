package engine

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/format"
)

// Copied is what was done to make a copy equal to the repository.
type Copied struct {
	Name string `json:"name"`
	// Blobs and Bytes that the copy has.
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
	// Added, Removed blobs, and the bytes of those that were added.
	Added      int64 `json:"added"`
	AddedBytes int64 `json:"addedBytes"`
	Removed    int64 `json:"removed"`
	// Reason and Error say why the copy is not equal.
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`
}

// copyTo makes a copy have the blobs that the repository has, and no others. What refers to others comes after them, and
// goes before them, so that a copy that is cut short opens, with the snapshots that it had.
func (r *repository) copyTo(ctx context.Context, c Copy, report *Reporter) (Copied, error) {
	out := Copied{Name: c.Name}
	to, err := c.storage(ctx, true)
	if err != nil {
		return out, err
	}
	defer to.Close(ctx)
	if err := c.tidy(); err != nil {
		return out, err
	}
	if err := r.nameIt(ctx); err != nil {
		return out, fmt.Errorf("naming the repository: %w", err)
	}
	have, err := blob.ReadBlobMap(ctx, r.storage)
	if err != nil {
		return out, fmt.Errorf("listing the repository: %w", err)
	}
	there, err := blob.ReadBlobMap(ctx, to)
	if err != nil {
		return out, fmt.Errorf("listing copy %s: %w", c.Name, err)
	}
	if err := r.belongs(ctx, c, to, there); err != nil {
		return out, err
	}
	lost, err := r.lost(ctx, have)
	if err != nil {
		return out, err
	}
	for _, id := range lost { // the copy may be all that is left of it
		delete(have, id)
	}
	missing, total := missingIn(have, there)
	report.begin("copy", c.Name, int64(len(missing)), total)
	for _, m := range missing {
		if err := r.copyBlob(ctx, to, m); err != nil {
			return out, fmt.Errorf("copying blob %s to %s: %w", m.BlobID, c.Name, err)
		}
		out.Added++
		out.AddedBytes += m.Length
		report.add(1, m.Length)
	}
	gone := slices.DeleteFunc(surplus(have, there), func(id blob.ID) bool { return slices.Contains(lost, id) })
	if r.config.NoPruning {
		gone = nil
	}
	for _, id := range gone {
		if err := to.DeleteBlob(ctx, id); err != nil && !errors.Is(err, blob.ErrBlobNotFound) {
			return out, fmt.Errorf("removing blob %s from %s: %w", id, c.Name, err)
		}
		out.Removed++
	}
	return out, r.equal(ctx, c, to, have, &out)
}

// lost are blobs that the repository should have, and has not, or not whole.
func (r *repository) lost(ctx context.Context, have map[blob.ID]blob.Metadata) ([]blob.ID, error) {
	known, err := r.inventory(ctx)
	if err != nil && !errors.Is(err, errInventory) {
		return nil, err
	}
	var out []blob.ID
	for _, d := range known.missing(have) {
		out = append(out, blob.ID(d.Blob))
	}
	return out, nil
}

// belongs keeps what is not ours from being overwritten: a place is a copy of this repository, or empty.
func (r *repository) belongs(ctx context.Context, c Copy, to blob.Storage, there map[blob.ID]blob.Metadata) error {
	whose := func(id blob.ID, says func([]byte) string) (string, error) {
		if _, ok := there[id]; !ok {
			return "", nil
		}
		var b buffer
		if err := to.GetBlob(ctx, id, 0, -1, &b); err != nil {
			return "", fmt.Errorf("reading copy %s: %w", c.Name, err)
		}
		return says(b.Bytes()), nil
	}
	named, err := whose(nameID, func(b []byte) string { return string(b) })
	if err != nil {
		return err
	}
	opens, err := whose(format.KopiaRepositoryBlobID, idInFormat)
	if err != nil {
		return err
	}
	mine := r.id()
	switch {
	case opens != "" && opens != mine, opens == "" && named != "" && named != mine:
		return &Failure{Reason: ReasonCopy, Err: fmt.Errorf("at %s is another repository, which is left as it is", c.Location)}
	case opens == "" && named == "" && len(there) > 0:
		return &Failure{Reason: ReasonCopy, Err: fmt.Errorf("at %s are %d objects that are no copy of this repository, e.g. %s: a copy wants a bucket or prefix of its own", c.Location, len(there), slices.Min(slices.Collect(maps.Keys(there))))}
	}
	return nil
}

// idInFormat is that of the repository which a blob opens, "" if it is damaged: a copy of it is mended by being written anew.
func idInFormat(b []byte) string {
	f, err := format.ParseKopiaRepositoryJSON(b)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(f.UniqueID)
}

// nameID is a blob of ours with the ID of the repository, the first that a copy gets: whose it is can be told although it was
// cut short.
const nameID blob.ID = "mockup.id"

func (r *repository) id() string { return hex.EncodeToString(r.UniqueID()) }

// nameIt writes the ID of the repository down, once.
func (r *repository) nameIt(ctx context.Context) error {
	var have, want buffer
	want.WriteString(r.id())
	if err := r.storage.GetBlob(ctx, nameID, 0, -1, &have); err == nil && have.String() == want.String() {
		return nil
	}
	return r.storage.PutBlob(ctx, nameID, &want, blob.PutOptions{})
}

// blobName is what Kopia and we call blobs. Whatever else is in a bucket is not ours to remove.
var blobName = regexp.MustCompile(`^(kopia\..+|mockup\..+|_log_.+|[pqnmls][0-9a-f]{16,}(-s[0-9a-f]+)?|x[a-z][0-9_]*([0-9a-f]{32}(-s[0-9a-f]+)?(-c[0-9]+)?)?)$`)

// mutable blobs are written again under their name.
func mutable(id blob.ID) bool { return strings.HasPrefix(string(id), "kopia.") || ours(id) }

// rank of a blob: whose it all is, contents, then what lists them, then what opens the repository.
func rank(id blob.ID) int {
	switch {
	case id == nameID:
		return -1
	case mutable(id):
		return 2
	case strings.HasPrefix(string(id), "p"), strings.HasPrefix(string(id), "q"):
		return 0
	}
	return 1
}

func missingIn(have, there map[blob.ID]blob.Metadata) (missing []blob.Metadata, bytes int64) {
	for id, m := range have {
		if other, ok := there[id]; ok && other.Length == m.Length && !mutable(id) {
			continue
		}
		missing, bytes = append(missing, m), bytes+m.Length
	}
	slices.SortFunc(missing, func(a, b blob.Metadata) int {
		if d := rank(a.BlobID) - rank(b.BlobID); d != 0 {
			return d
		}
		return strings.Compare(string(a.BlobID), string(b.BlobID))
	})
	return missing, bytes
}

func surplus(have, there map[blob.ID]blob.Metadata) []blob.ID {
	var out []blob.ID
	for id := range there {
		if _, ok := have[id]; !ok && blobName.MatchString(string(id)) {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b blob.ID) int { return rank(b) - rank(a) })
	return out
}

// copyBlob keeps to the bandwidth by what it reads.
func (r *repository) copyBlob(ctx context.Context, to blob.Storage, m blob.Metadata) error {
	var b buffer
	if err := r.storage.GetBlob(ctx, m.BlobID, 0, -1, &b); err != nil {
		return err
	}
	return to.PutBlob(ctx, m.BlobID, &b, blob.PutOptions{})
}

// equal lists the copy again: a server may have said that it stored what it did not.
func (r *repository) equal(ctx context.Context, c Copy, to blob.Storage, have map[blob.ID]blob.Metadata, out *Copied) error {
	there, err := blob.ReadBlobMap(ctx, to)
	if err != nil {
		return fmt.Errorf("listing copy %s: %w", c.Name, err)
	}
	for id, m := range have {
		if other, ok := there[id]; !ok || other.Length != m.Length {
			return &Failure{Reason: ReasonCopy, Err: fmt.Errorf("copy %s has %d bytes of blob %s, not %d, although they were sent", c.Name, other.Length, id, m.Length)}
		}
		out.Blobs++
		out.Bytes += m.Length
	}
	return synced(to)
}

// buffer is blob.Bytes and blob.OutputBuffer.
type buffer struct{ bytes.Buffer }

// Length implements blob.Bytes.
func (b *buffer) Length() int { return b.Len() }

// Reader implements blob.Bytes.
func (b *buffer) Reader() io.ReadSeekCloser { return readSeekCloser{bytes.NewReader(b.Bytes())} }

// WriteTo implements blob.Bytes; it may be called again.
func (b *buffer) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b.Bytes())
	return int64(n), err
}

type readSeekCloser struct{ *bytes.Reader }

// Close implements io.Closer.
func (readSeekCloser) Close() error { return nil }
