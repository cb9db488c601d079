package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// stallPatience is how long a stack or an addon may stall before up gives up: what it lacks may be about to come.
const stallPatience = 10 * time.Second

// target is what is waited for.
type target struct {
	kind *kind
	key  types.NamespacedName
}

func (t target) String() string { return t.kind.word + " " + t.key.String() }

// wait waits for the stacks and addons of the files, or for all that are there, one step each.
func (u *up) wait(ctx context.Context) error {
	targets, err := u.awaited(ctx)
	if err != nil {
		return err
	}
	for _, t := range targets {
		err := u.list.Step(t.String(), func(say func(string)) (string, error) {
			s, err := waitReady(ctx, u.api, t, say)
			if err != nil {
				return "", err
			}
			u.ready = append(u.ready, s)
			return fmt.Sprintf("%s is ready, %s", s, s.ready), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// awaited are the stacks to wait for and then the addons, each sorted by name.
func (u *up) awaited(ctx context.Context) ([]target, error) {
	var all []target
	for _, d := range u.objects {
		if k := kindOf(d.GroupVersionKind()); k != nil {
			all = append(all, target{k, client.ObjectKeyFromObject(d)})
		}
	}
	if len(u.objects) == 0 {
		found, err := subjects(ctx, u.api, "")
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			if s.GetDeletionTimestamp().IsZero() {
				all = append(all, target{s.kind, client.ObjectKeyFromObject(s)})
			}
		}
	}
	slices.SortFunc(all, func(a, b target) int {
		return cmp.Or(slices.Index(kinds, a.kind)-slices.Index(kinds, b.kind), strings.Compare(a.key.String(), b.key.String()))
	})
	return slices.Compact(all), nil
}

// waitReady watches one stack or addon until it is ready, has stalled for too long, or ctx ends.
func waitReady(ctx context.Context, c client.WithWatch, t target, say func(string)) (*subject, error) {
	w := &waiting{say: say}
	for {
		s, err := w.watch(ctx, c, t)
		if s != nil || err != nil {
			return s, err
		}
	}
}

// waiting remembers what was last seen, over several watches.
type waiting struct {
	say     func(string)
	last    verdict
	stalled *time.Timer
}

// watch returns what is waited for when it is ready, and nothing when the watch ended before and has to be begun anew.
func (w *waiting) watch(ctx context.Context, c client.WithWatch, t target) (*subject, error) {
	events, err := c.Watch(ctx, t.kind.list(), client.InNamespace(t.key.Namespace), client.MatchingFields{"metadata.name": t.key.Name})
	if err != nil {
		if ctx.Err() != nil {
			return nil, w.timeout(ctx)
		}
		return nil, fmt.Errorf("watching the %s: %w", t.kind.word, err)
	}
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, w.timeout(ctx)
		case <-w.patience():
			return nil, fmt.Errorf("it can't become ready without a change: %s", w.last.text)
		case e, open := <-events.ResultChan():
			if !open || e.Type == watch.Error {
				return nil, nil
			}
			if s := subjectOf(e.Object); s != nil {
				if e.Type == watch.Deleted {
					return nil, errors.New("it was deleted")
				}
				if w.see(s) {
					return s, nil
				}
			}
		}
	}
}

// see takes in what is waited for as it is now, and tells whether it is ready.
func (w *waiting) see(s *subject) bool {
	w.last = judge(s)
	switch {
	case !w.last.stalled:
		w.stalled = nil
	case w.stalled == nil:
		w.stalled = time.NewTimer(stallPatience)
	}
	if !w.last.ready {
		w.say(w.last.text)
	}
	return w.last.ready
}

// patience is over when it has stalled for too long.
func (w *waiting) patience() <-chan time.Time {
	if w.stalled == nil {
		return nil
	}
	return w.stalled.C
}

func (w *waiting) timeout(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it is not ready in time: %s; \"mockup logs COMPONENT\" shows what a program says", w.last.text)
	}
	return ctx.Err()
}
