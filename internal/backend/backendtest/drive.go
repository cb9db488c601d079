package backendtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// driver does what the controllers do: it applies a set whenever a change of its owner is reported, and only then. Cases use
// it where it matters how soon the backend does something, or what may be seen on the way.
type driver struct {
	e     *env
	heard *listener
	kick  chan struct{}

	mu   sync.Mutex
	set  manifests.Set
	seen backend.Observation
	// all that was observed since the last change, the newest last.
	all   []backend.Observation
	fresh bool
	err   error
}

// drive applies set from now until the case ends. Nobody else may apply one for the owner in that time.
func (e *env) drive(set manifests.Set) *driver {
	e.Helper()
	ctx, cancel := context.WithCancel(e.Context())
	d := &driver{e: e, heard: e.listen(), kick: make(chan struct{}, 1)}
	d.change(set)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.run(ctx)
	}()
	e.Cleanup(func() { cancel(); <-ended })
	return d
}

func (d *driver) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.kick:
		case <-d.heard.wake:
			if d.heard.heard(d.e.owner) != nil {
				continue
			}
			d.heard.forget()
		}
		d.mu.Lock()
		set := d.set
		d.mu.Unlock()
		start := time.Now()
		seen, err := d.e.b.Apply(ctx, set)
		if took := time.Since(start); took > d.e.h.ApplyLimit {
			err = fmt.Errorf("it took %s, but never waits", took.Round(time.Millisecond))
		}
		d.mu.Lock()
		if ctx.Err() == nil && len(d.kick) == 0 { // otherwise it is of a set that has changed meanwhile
			d.seen, d.fresh, d.all = seen, true, append(d.all, seen)
			if d.err == nil && err != nil {
				d.err = fmt.Errorf("applying the set of %s: %w", set.Owner, err)
			}
		}
		d.mu.Unlock()
		time.Sleep(d.e.h.Pace)
	}
}

// change what is wanted. The case may go on to change its objects afterwards.
func (d *driver) change(set manifests.Set) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set, d.fresh, d.all = copyOf(set), false, nil
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

func copyOf(set manifests.Set) manifests.Set {
	set.Objects, set.Secrets, set.ConfigMaps = slices.Clone(set.Objects), slices.Clone(set.Secrets), slices.Clone(set.ConfigMaps)
	set.Networks, set.Claims = slices.Clone(set.Networks), slices.Clone(set.Claims)
	for i, o := range set.Objects {
		set.Objects[i] = o.DeepCopyObject().(manifests.Object)
	}
	for i, o := range set.Secrets {
		set.Secrets[i] = (*corev1.Secret).DeepCopy(o)
	}
	for i, o := range set.ConfigMaps {
		set.ConfigMaps[i] = (*corev1.ConfigMap).DeepCopy(o)
	}
	return set
}

// look is the newest observation of what is wanted now.
func (d *driver) look() backend.Observation {
	d.e.Helper()
	var seen backend.Observation
	d.e.eventually(func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.err != nil {
			d.e.Fatalf("%v", d.err)
		}
		seen = d.seen
		if !d.fresh {
			return fmt.Errorf("the set has not been applied yet")
		}
		return nil
	})
	return seen
}

// until waits until check has no more complaint about the newest observation.
func (d *driver) until(check func(backend.Observation) error) backend.Observation {
	d.e.Helper()
	var seen backend.Observation
	d.e.eventually(func() error {
		seen = d.look()
		return check(seen)
	}, func() string { return describe(seen) })
	return seen
}

// ready waits until what is wanted is, and has the second client confirm it.
func (d *driver) ready() backend.Observation {
	d.e.Helper()
	d.mu.Lock()
	set := d.set
	d.mu.Unlock()
	seen := d.until(func(o backend.Observation) error { return isSettled(set, o) })
	d.e.eventually(func() error { return d.e.confirm(set) })
	return seen
}

// settled complains until all that is wanted is.
func (d *driver) settled() error {
	seen := d.look()
	d.mu.Lock()
	defer d.mu.Unlock()
	return isSettled(d.set, seen)
}

// ever tells whether check held for any observation since the last change.
func (d *driver) ever(check func(backend.Observation) bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.all, check)
}
