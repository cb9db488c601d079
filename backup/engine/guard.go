package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/kopia/kopia/repo/blob"
)

const (
	// patience with a server for each of its answers, for the retries of the client as well, and slowest is the rate below
	// which it counts as one that does not answer: half a minute for each MiB.
	patience = 5 * time.Minute
	slowest  = 32 << 10 // bytes in a second
)

// guarded is a server that is not believed: what was put counts as stored when the server says that it has so many bytes of
// it, and an answer that does not come is given up, long before the deadline of a whole run.
//
// What it has lost nevertheless would be missing from all later backups, too: Kopia stores no content twice.
type guarded struct {
	blob.Storage
	where    Location
	patience time.Duration
}

func (g *guarded) within(ctx context.Context, bytes int) (context.Context, context.CancelFunc) {
	d := g.patience
	if d == 0 {
		d = patience
	}
	return context.WithTimeout(ctx, d+time.Duration(bytes/slowest)*time.Second)
}

// PutBlob implements blob.Storage. Kopia's own, asked for the time of what it stored, tells of a blob that is not there in place
// of why it could not be stored.
func (g *guarded) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, o blob.PutOptions) error {
	ctx, cancel := g.within(ctx, data.Length())
	defer cancel()
	stored := o.GetModTime
	o.GetModTime = nil
	if err := g.Storage.PutBlob(ctx, id, data, o); err != nil {
		return err
	}
	m, err := g.Storage.GetMetadata(ctx, id)
	if err == nil && m.Length == int64(data.Length()) {
		if stored != nil {
			*stored = m.Timestamp
		}
		return nil
	}
	have := fmt.Sprintf("%d bytes", m.Length)
	if err != nil {
		have = err.Error()
	}
	return &Failure{Reason: ReasonUnavailable, Err: fmt.Errorf("%s took %d bytes of blob %s, and has: %s", g.where, data.Length(), id, have)}
}

// GetBlob implements blob.Storage.
func (g *guarded) GetBlob(ctx context.Context, id blob.ID, offset, length int64, out blob.OutputBuffer) error {
	const most = 64 << 20 // more than any blob of Kopia's
	ctx, cancel := g.within(ctx, most)
	defer cancel()
	return g.Storage.GetBlob(ctx, id, offset, length, out)
}

// GetMetadata implements blob.Storage.
func (g *guarded) GetMetadata(ctx context.Context, id blob.ID) (blob.Metadata, error) {
	ctx, cancel := g.within(ctx, 0)
	defer cancel()
	return g.Storage.GetMetadata(ctx, id)
}

// DeleteBlob implements blob.Storage.
func (g *guarded) DeleteBlob(ctx context.Context, id blob.ID) error {
	ctx, cancel := g.within(ctx, 0)
	defer cancel()
	return g.Storage.DeleteBlob(ctx, id)
}

// ListBlobs implements blob.Storage. The time counts from one blob to the next.
func (g *guarded) ListBlobs(ctx context.Context, prefix blob.ID, found func(blob.Metadata) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d := g.patience
	if d == 0 {
		d = patience
	}
	timer := time.AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	defer timer.Stop()
	err := g.Storage.ListBlobs(ctx, prefix, func(m blob.Metadata) error {
		timer.Reset(d)
		return found(m)
	})
	if err != nil && context.Cause(ctx) == context.DeadlineExceeded { //nolint:errorlint // as it was given
		return fmt.Errorf("listing %s: %w", g.where, context.DeadlineExceeded)
	}
	return err
}
