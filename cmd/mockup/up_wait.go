package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
)

// stallPatience is how long a stack may stall before up gives up: what it lacks may be about to come.
const stallPatience = 10 * time.Second

// wait waits for the stacks of the files, or for all that are there, one step each.
func (u *up) wait(ctx context.Context) error {
	keys, err := u.awaited(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		err := u.list.Step("stack "+key.String(), func(say func(string)) (string, error) {
			s, err := waitReady(ctx, u.api, key, say)
			if err != nil {
				return "", err
			}
			u.ready = append(u.ready, *s)
			return fmt.Sprintf("stack %s is ready, %s", key, s.Status.Workloads), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// awaited are the stacks to wait for, sorted.
func (u *up) awaited(ctx context.Context) ([]types.NamespacedName, error) {
	keys := map[types.NamespacedName]bool{}
	for _, d := range u.objects {
		if d.GroupVersionKind().GroupKind() == v1alpha1.GroupVersion.WithKind("MockupStack").GroupKind() {
			keys[types.NamespacedName{Namespace: d.GetNamespace(), Name: d.GetName()}] = true
		}
	}
	if len(u.objects) == 0 {
		all, err := stacks(ctx, u.api, "")
		if err != nil {
			return nil, err
		}
		for i := range all {
			if all[i].DeletionTimestamp.IsZero() {
				keys[client.ObjectKeyFromObject(&all[i])] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(keys), func(a, b types.NamespacedName) int {
		return compareStrings(a.String(), b.String())
	}), nil
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// waitReady watches one stack until it is ready, has stalled for too long, or ctx ends.
func waitReady(ctx context.Context, c client.WithWatch, key types.NamespacedName, say func(string)) (*v1alpha1.MockupStack, error) {
	w := &waiting{say: say}
	for {
		s, err := w.watch(ctx, c, key)
		if s != nil || err != nil {
			return s, err
		}
	}
}

// waiting remembers what was last seen of a stack, over several watches.
type waiting struct {
	say     func(string)
	last    verdict
	stalled *time.Timer
}

// watch returns the stack when it is ready, and nothing when the watch ended before and has to be begun anew.
func (w *waiting) watch(ctx context.Context, c client.WithWatch, key types.NamespacedName) (*v1alpha1.MockupStack, error) {
	events, err := c.Watch(ctx, &v1alpha1.MockupStackList{}, client.InNamespace(key.Namespace), client.MatchingFields{"metadata.name": key.Name})
	if err != nil {
		if ctx.Err() != nil {
			return nil, w.timeout(ctx)
		}
		return nil, fmt.Errorf("watching the stack: %w", err)
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
			if s, ok := e.Object.(*v1alpha1.MockupStack); ok {
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

// see takes in the stack as it is now, and tells whether it is ready.
func (w *waiting) see(s *v1alpha1.MockupStack) bool {
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

// patience is over when the stack has stalled for too long.
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
