package podman

import (
	"context"
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

// parallel is how many tasks run at once: four plays side by side take half the time of one after another, eight gain
// nothing more.
const parallel = 4

// taskTimeout is far beyond the longest termination grace; it only keeps a hanging call from holding a pod for ever.
const taskTimeout = 90 * time.Minute

// tasks are the effects that take time, at most one for each pod. When one ends, its owner is reported as changed.
type tasks struct {
	changed func(manifests.Owner)
	slots   chan struct{}

	mu      sync.Mutex
	running map[string]bool
	failed  map[string]failure
}

// failure of the last try on an object.
type failure struct {
	err   error
	until time.Time
	count int
}

func newTasks(changed func(manifests.Owner)) *tasks {
	return &tasks{changed: changed, slots: make(chan struct{}, parallel), running: map[string]bool{}, failed: map[string]failure{}}
}

// start runs body for the named pod unless a task of it runs.
func (t *tasks) start(owner manifests.Owner, name string, body func(context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running[name] {
		return
	}
	t.running[name] = true
	go func() {
		t.slots <- struct{}{}
		ctx, cancel := context.WithTimeout(context.Background(), taskTimeout)
		err := body(ctx)
		cancel()
		<-t.slots
		t.end(name, err)
		t.changed(owner)
		if err != nil {
			time.AfterFunc(t.wait(name), func() { t.changed(owner) })
		}
	}()
}

func (t *tasks) end(name string, err error) {
	if err == nil {
		t.clear(name)
	} else {
		t.fail(name, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.running, name)
}

// fail notes a failure and holds the object back.
func (t *tasks) fail(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	count := t.failed[name].count
	t.failed[name] = failure{err: err, until: time.Now().Add(backOff(count)), count: count + 1}
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

func (t *tasks) wait(name string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Until(t.failed[name].until)
}

func (t *tasks) busy() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.running)
}

func (t *tasks) failures() map[string]error {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]error{}
	for name, f := range t.failed {
		out[name] = f.err
	}
	return out
}

func (t *tasks) held() map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]time.Time{}
	for name, f := range t.failed {
		out[name] = f.until
	}
	return out
}
