package memory

import (
	"context"

	"mockup.dev/mockup/manifests"
)

// feed is one listener's queue of owners, each in it at most once.
type feed struct {
	queue  []manifests.Owner
	queued map[string]bool
	wake   chan struct{}
}

// add is called with the world's lock held.
func (f *feed) add(owner manifests.Owner) {
	if f.queued[owner.String()] {
		return
	}
	f.queued[owner.String()] = true
	f.queue = append(f.queue, owner)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Changes reports owners as backend.Backend promises, in the order in which they changed.
func (b *Backend) Changes(ctx context.Context) <-chan manifests.Owner {
	w := b.world
	f := &feed{queued: map[string]bool{}, wake: make(chan struct{}, 1)}
	out := make(chan manifests.Owner)
	w.mu.Lock()
	w.feeds[f] = true
	for _, owner := range w.owners() {
		f.add(owner)
	}
	w.mu.Unlock()
	go w.serve(ctx, f, out)
	return out
}

func (w *World) serve(ctx context.Context, f *feed, out chan<- manifests.Owner) {
	defer close(out)
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.feeds, f)
	}()
	for {
		owner, found := w.next(f)
		if !found {
			select {
			case <-f.wake:
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case out <- owner:
		case <-ctx.Done():
			return
		}
	}
}

func (w *World) next(f *feed) (manifests.Owner, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(f.queue) == 0 {
		return manifests.Owner{}, false
	}
	owner := f.queue[0]
	f.queue = f.queue[1:]
	delete(f.queued, owner.String())
	return owner, true
}

// report an owner as changed; called with the lock held.
func (w *World) report(owner manifests.Owner) {
	if w.faults.deaf || owner.Name == "" {
		return
	}
	for f := range w.feeds {
		f.add(owner)
	}
}

func (w *World) reportAll() {
	for _, owner := range w.owners() {
		w.report(owner)
	}
}
