package podman

import (
	"context"
	"sync"
	"time"

	"mockup.dev/mockup/manifests"
)

// changes collects owners that may have changed, each once until it is taken.
type changes struct {
	mu      sync.Mutex
	known   map[string]manifests.Owner
	pending map[string]manifests.Owner
	// timers of owners that are looked at again although nothing happens.
	timers map[string]*time.Timer
	signal chan struct{}
}

func newChanges() *changes {
	return &changes{
		known: map[string]manifests.Owner{}, pending: map[string]manifests.Owner{}, timers: map[string]*time.Timer{},
		signal: make(chan struct{}, 1),
	}
}

func (c *changes) know(o manifests.Owner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[o.String()] = o
}

func (c *changes) forget(o manifests.Owner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, o.String())
}

func (c *changes) add(o manifests.Owner) {
	c.mu.Lock()
	c.pending[o.String()] = o
	c.mu.Unlock()
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// addAt adds the owner at a time, or not at all for none. It replaces the time that was set before.
func (c *changes) addAt(o manifests.Owner, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := o.String()
	if t := c.timers[key]; t != nil {
		t.Stop()
		delete(c.timers, key)
	}
	if !at.IsZero() {
		c.timers[key] = time.AfterFunc(time.Until(at), func() { c.add(o) })
	}
}

func (c *changes) addAll() {
	c.mu.Lock()
	for k, o := range c.known {
		c.pending[k] = o
	}
	c.mu.Unlock()
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

func (c *changes) take() map[string]manifests.Owner {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.pending
	c.pending = map[string]manifests.Owner{}
	return taken
}

// stream hands the owners on until ctx ends.
func (c *changes) stream(ctx context.Context) <-chan manifests.Owner {
	out := make(chan manifests.Owner)
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case <-c.signal:
			}
			for _, o := range c.take() {
				select {
				case out <- o:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

// Pauses between two tries to reach Podman's events.
const (
	firstReconnect = 100 * time.Millisecond
	maxReconnect   = 5 * time.Second
)

// lateLooks are when everybody is looked at again after a connection to the events.
func lateLooks() []time.Duration { return []time.Duration{time.Second, 5 * time.Second} }

// watch follows Podman's events, with a resync behind them, until ctx ends.
func (b *Backend) watch(ctx context.Context) {
	go func() {
		tick := time.NewTicker(b.resync)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				b.changes.addAll()
			}
		}
	}()
	pause := firstReconnect
	for ctx.Err() == nil {
		err := b.engine.events(ctx, func() {
			if err := b.adoptOwners(ctx); err != nil {
				b.log.Info("not everybody who has pods is known", "error", err.Error())
			}
			b.changes.addAll()
			// Podman begins to read its events some time after it has said so; what happens until then is not told.
			for _, later := range lateLooks() {
				time.AfterFunc(later, b.changes.addAll)
			}
			go b.sweepTests(ctx)
		}, func(e event) {
			pause = firstReconnect // not before: a stream that ends at once would be asked for again and again
			b.heed(e)
		})
		if ctx.Err() != nil {
			return
		}
		b.log.Info("Podman's events ended, connecting again", "error", err.Error(), "pause", pause.String())
		// What can't be reached is reported by Apply, so that status says so.
		b.changes.addAll()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxReconnect)
	}
}

// quiet events are of no consequence: health checks and execs make many of them.
var quiet = map[string]bool{
	"exec": true, "exec_died": true, "health_status": true, "attach": true, "init": true, "mount": true, "unmount": true,
	"cleanup": true, "pull": true, "sync": true, "build": true, "create": true, "save": true, "loadfromarchive": true,
}

// heed finds out whose object an event is about. Volumes and networks come without labels, but somebody has seen them.
func (b *Backend) heed(e event) {
	b.exits.heed(e)
	if e.action == "cleanup" { // of an infra container, whose networks are gone by now
		b.unplugged(e.id)
	}
	if quiet[e.action] {
		return
	}
	if o, err := manifests.ParseOwner(e.labels[manifests.LabelOwner]); err == nil {
		if e.action == "update" || e.action == "rename" {
			b.forgetExamined(e.id)
		}
		if e.action == "died" {
			go b.died(o, e)
		}
		b.prober.wake(e.id)
		b.changes.add(o)
		return
	}
	b.mu.Lock()
	o, isInfra := b.infra[e.id]
	b.mu.Unlock()
	if isInfra {
		switch {
		case e.action == "remove":
			b.forgetInfra(e.id)
		case e.kind == "network": // it joined or left one
			b.mistrustNetwork(e.id)
		}
		b.changes.add(o)
		return
	}
	if (e.kind == "volume" || e.kind == "network") && e.action == "remove" {
		for _, o := range b.holders.of(e) {
			b.changes.add(o)
		}
	}
}
