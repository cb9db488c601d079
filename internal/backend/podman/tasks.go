package podman

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"mockup.dev/mockup/manifests"
)

// Back-off of what failed: doubled with each failure in a row.
const (
	firstBackOff = time.Second
	maxBackOff   = time.Minute
)

// parallel is how many tasks work at once: four plays side by side take half the time of one after another, eight gain
// nothing more. One that takes longer than longTask waits for something, a hook or an init container, and makes way.
const (
	parallel = 4
	longTask = 5 * time.Second
)

// retrying is how many of them may be tries of what failed before, so that what can't be had takes turns with itself and not
// with the work of others.
const retrying = 1

// taskTimeout is far beyond the longest termination grace; it only keeps a hanging call from holding a pod for ever.
const taskTimeout = 90 * time.Minute

// tasks are the effects that take time, at most one for each pod. When one ends, its owner is reported as changed.
type tasks struct {
	changed func(manifests.Owner)
	slots   *slots
	// retries are the slots of what failed before, beside the others.
	retries *slots

	mu      sync.Mutex
	running map[string]underWay
	failed  map[string]failure
}

// underWay is a task that runs.
type underWay struct {
	work
	owner manifests.Owner
}

// failure of the last try on an object.
type failure struct {
	err error
	// hash is the form in which it failed.
	hash  string
	until time.Time
	count int
}

func newTasks(changed func(manifests.Owner)) *tasks {
	return &tasks{
		changed: changed, slots: newSlots(parallel), retries: newSlots(retrying),
		running: map[string]underWay{}, failed: map[string]failure{},
	}
}

// start runs body for the named pod unless a task of it runs.
func (t *tasks) start(owner manifests.Owner, name string, w work, body func(context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, runs := t.running[name]; runs {
		return
	}
	t.running[name] = underWay{w, owner}
	again := t.failed[name].count > 0 && t.failed[name].hash == w.hash
	go func() {
		err := t.inSlot(owner, again, body)
		t.end(name, w, err)
		t.changed(owner)
	}()
}

// inSlot runs body when there is a slot, which it gives back early when it takes long.
func (t *tasks) inSlot(owner manifests.Owner, again bool, body func(context.Context) error) error {
	giveBack := func() {}
	if again {
		giveBack = t.retries.take(owner)
	}
	slot := t.slots.take(owner)
	release := func() { slot(); giveBack() }
	timer := time.AfterFunc(longTask, release)
	defer func() { timer.Stop(); release() }()
	ctx, cancel := context.WithTimeout(context.Background(), taskTimeout)
	defer cancel()
	return body(ctx)
}

func (t *tasks) end(name string, w work, err error) {
	var rejected *rejectedError
	switch {
	case err == nil:
		t.clear(name)
	case errors.As(err, &rejected): // not tried again: see rejectedError
	default:
		t.fail(name, w.hash, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.running, name)
}

// fail notes a failure and holds the object back.
func (t *tasks) fail(name, hash string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	count := t.failed[name].count
	if t.failed[name].hash != hash {
		count = 0
	}
	t.failed[name] = failure{err: err, hash: hash, until: time.Now().Add(backOff(count)), count: count + 1}
}

// clear forgets the failures of an object.
func (t *tasks) clear(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failed, name)
}

func backOff(failures int) time.Duration {
	return min(firstBackOff<<min(failures, 10), maxBackOff)
}

// busy are the pods of an owner that are being worked on. Workloads of other owners may have the same names as its own.
func (t *tasks) busy(owner manifests.Owner) map[string]work {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]work{}
	for name, task := range t.running {
		if task.owner.Is(owner) {
			out[name] = task.work
		}
	}
	return out
}

func (t *tasks) failures() map[string]failure {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.failed)
}

func (t *tasks) held() map[string]hold {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]hold{}
	for name, f := range t.failed {
		out[name] = hold{until: f.until, hash: f.hash}
	}
	return out
}
