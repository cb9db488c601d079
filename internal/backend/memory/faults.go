package memory

import (
	"context"
	"fmt"
	"time"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// faults are what a test has asked to go wrong.
type faults struct {
	applies int
	fail    map[int]error
	// logs that can not be read any more, by owner.
	logs  map[string]int
	delay time.Duration
	deaf  bool
}

// FailApply makes the nth Apply from now fail with err before it does anything; 1 is the next.
func (w *World) FailApply(n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.faults.fail == nil {
		w.faults.fail = map[int]error{}
	}
	w.faults.fail[w.faults.applies+n] = err
}

// FailLogs makes the next n looks at logs of an owner's pods fail, and tells how many were still to fail.
func (w *World) FailLogs(owner manifests.Owner, n int) (left int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.faults.logs == nil {
		w.faults.logs = map[string]int{}
	}
	left = w.faults.logs[owner.String()]
	w.faults.logs[owner.String()] = n
	return left
}

// DelayApply makes every Apply take d longer, or until its context ends.
func (w *World) DelayApply(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults.delay = d
}

// DropChanges loses all reports of changes while it is on.
func (w *World) DropChanges(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults.deaf = on
}

// Break breaks and mends the connection to everybody who listens: each is told of every owner.
func (w *World) Break() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for f := range w.feeds {
		for _, owner := range w.owners() {
			f.add(owner)
		}
	}
}

// Freeze stops time: pods neither start nor go until Pass.
func (w *World) Freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frozen = true
}

// Pass lets time pass once for everybody.
func (w *World) Pass() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, owner := range w.owners() {
		if w.pass(w.tenant(owner)) {
			w.report(owner)
		}
	}
}

// Missing takes an image away, or gives it back.
func (w *World) Missing(image string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.missing[image] = on
	w.reportAll()
}

// Hold keeps pods of an image from being ready, those that are ready already included, or lets them go.
func (w *World) Hold(image string, on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[image] = on
	for _, t := range w.tenants {
		for _, p := range t.pods {
			if p.main().Image == image {
				p.ready = p.ready && !on
			}
		}
	}
	w.reportAll()
}

// Refuse has every Apply report what refuse says of each object.
func (w *World) Refuse(refuse func(manifests.Object) []backend.Refusal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = refuse
}

// Kill ends the main process of a pod, as SIGKILL does.
func (w *World) Kill(namespace, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, p := w.findPod(namespace, name)
	if p == nil {
		return fmt.Errorf("there is no pod %s in %s", name, namespace)
	}
	const killed = 137 // 128 + SIGKILL, as every container engine reports it
	if p.running {
		w.ended(p, p.main(), killed)
	}
	w.report(t.owner)
	return nil
}

// Finish ends the main process of a pod, which has printed lines.
func (w *World) Finish(namespace, name string, code int, lines ...string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, p := w.findPod(namespace, name)
	if p == nil {
		return fmt.Errorf("there is no pod %s in %s", name, namespace)
	}
	p.logs = append(p.logs, lines...)
	if p.running {
		w.ended(p, p.main(), code)
	}
	w.report(t.owner)
	return nil
}

// RemovePod takes a pod away at once.
func (w *World) RemovePod(namespace, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, p := w.findPod(namespace, name)
	if p == nil {
		return fmt.Errorf("there is no pod %s in %s", name, namespace)
	}
	t.removePod(p)
	w.report(t.owner)
	return nil
}

// LoseAddresses takes the fixed addresses of a pod away.
func (w *World) LoseAddresses(namespace, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, p := w.findPod(namespace, name)
	if p == nil {
		return fmt.Errorf("there is no pod %s in %s", name, namespace)
	}
	w.addresses(p)
	w.report(t.owner)
	return nil
}

// Wipe takes away all pods of the owner that has the named one, as the restart of a host does.
func (w *World) Wipe(namespace, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, p := w.findPod(namespace, name)
	if p == nil {
		return fmt.Errorf("there is no pod %s in %s", name, namespace)
	}
	t.pods = nil
	w.report(t.owner)
	return nil
}

// meddle does what the faults ask of the next Apply.
func (w *World) meddle(ctx context.Context) error {
	w.mu.Lock()
	w.faults.applies++
	err, delay := w.faults.fail[w.faults.applies], w.faults.delay
	w.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	if err != nil {
		return err
	}
	return ctx.Err()
}
