package repair

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/stacktest"
)

// history is every status that a watch saw, of all stacks, with the time when it did.
type history struct {
	events watch.Interface

	mu    sync.Mutex
	seen  map[client.ObjectKey][]sighting
	other chan struct{} // closed and made anew with each sighting
}

type sighting struct {
	at       time.Time
	ready    bool
	restarts map[string]int32 // by component
	said     string
}

func follow(s *stacktest.Stack) (*history, error) {
	events, err := s.API.Watch(context.Background(), &v1alpha1.MockupStackList{})
	if err != nil {
		return nil, fmt.Errorf("opening a watch: %w", err)
	}
	h := &history{events: events, seen: map[client.ObjectKey][]sighting{}, other: make(chan struct{})}
	go func() {
		for e := range events.ResultChan() {
			if stack, ok := e.Object.(*v1alpha1.MockupStack); ok {
				h.note(stack)
			}
		}
	}()
	return h, nil
}

func (h *history) stop() { h.events.Stop() }

func (h *history) note(stack *v1alpha1.MockupStack) {
	s := sighting{at: time.Now(), ready: stacktest.Ready(stack), restarts: map[string]int32{}, said: stacktest.Describe(stack)}
	for _, w := range stack.Status.Services {
		s.restarts[w.Name] = w.Restarts
	}
	if g := stack.Status.Gateway; g != nil {
		s.restarts[g.Name] = g.Restarts
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	key := client.ObjectKeyFromObject(stack)
	h.seen[key] = append(h.seen[key], s)
	close(h.other)
	h.other = make(chan struct{})
}

// await returns the first sighting of a stack after from, or the newest before, that enough says yes to.
func (h *history) await(ctx context.Context, key client.ObjectKey, from time.Time, enough func(sighting) bool) (sighting, error) {
	for {
		h.mu.Lock()
		found, last, other := h.look(key, from, enough)
		h.mu.Unlock()
		if found {
			return last, nil
		}
		select {
		case <-ctx.Done():
			return last, fmt.Errorf("waiting for the status of %s: %w; last seen at %s: %s", key, ctx.Err(), last.at.Format(time.StampMilli), last.said)
		case <-other:
		}
	}
}

func (h *history) look(key client.ObjectKey, from time.Time, enough func(sighting) bool) (bool, sighting, chan struct{}) {
	last := sighting{}
	for i, s := range h.seen[key] {
		next := i + 1
		current := next == len(h.seen[key]) || h.seen[key][next].at.After(from)
		if current && enough(s) {
			return true, s, nil
		}
		last = s
	}
	return false, last, h.other
}
