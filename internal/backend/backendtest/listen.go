package backendtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mockup.dev/mockup/manifests"
)

// listener gathers what Changes reports.
type listener struct {
	mu     sync.Mutex
	owners map[string]int
	wake   chan struct{}
	closed chan struct{}
	cancel context.CancelFunc
}

// listen starts to gather changes until the case ends.
func (e *env) listen() *listener {
	ctx, cancel := context.WithCancel(e.Context())
	e.Cleanup(cancel)
	l := &listener{owners: map[string]int{}, wake: make(chan struct{}, 1), closed: make(chan struct{}), cancel: cancel}
	changes := e.b.Changes(ctx)
	go func() {
		defer close(l.closed)
		for owner := range changes {
			l.mu.Lock()
			l.owners[owner.String()]++
			l.mu.Unlock()
			select {
			case l.wake <- struct{}{}:
			default:
			}
		}
	}()
	return l
}

// forget what was heard so far.
func (l *listener) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.owners)
}

func (l *listener) heard(owner manifests.Owner) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owners[owner.String()] == 0 {
		return fmt.Errorf("%s was not reported as changed; reported: %v", owner, l.owners)
	}
	return nil
}

// quiet waits until nothing has been reported for a while, so that what comes next has another cause.
func (e *env) quiet(l *listener) {
	e.Helper()
	deadline := time.Now().Add(e.h.Timeout)
	pause := max(10*e.h.Poll, 20*time.Millisecond)
	for {
		select {
		case <-l.wake:
			if time.Now().After(deadline) {
				e.Fatalf("changes are reported without end although nothing changes: %v", l.owners)
			}
		case <-time.After(pause):
			l.forget()
			return
		}
	}
}
