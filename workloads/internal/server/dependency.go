package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Time between two looks at a dependency: one that is down is soon found back.
const (
	intervalUp   = 5 * time.Second
	intervalDown = time.Second
)

type dependency struct {
	name  string
	probe func(context.Context) error

	mu   sync.Mutex
	last dependencyState
}

// dependencyState is what /readyz shows. The reason why a dependency is down
// stands in the log only: it names addresses, and /readyz may be public.
type dependencyState struct {
	Up bool `json:"up"`
	// Since is when Up last changed; absent until the dependency was asked.
	Since time.Time `json:"since,omitzero"`
}

func (d *dependency) state() dependencyState {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// watch asks the dependency again and again until ctx ends, and logs changes.
func (d *dependency) watch(ctx context.Context, log *slog.Logger, up prometheus.Gauge) {
	for {
		interval := intervalDown
		if d.ask(ctx, log, up) {
			interval = intervalUp
		}
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			return
		}
	}
}

// ask looks once, and says whether the dependency is up.
func (d *dependency) ask(ctx context.Context, log *slog.Logger, up prometheus.Gauge) bool {
	err := within(ctx, checkTimeout, d.probe)
	if ctx.Err() != nil {
		return false
	}
	now := dependencyState{Up: err == nil, Since: time.Now().UTC()}
	if now.Up {
		up.Set(1)
	} else {
		up.Set(0)
	}
	d.mu.Lock()
	before := d.last
	first := before.Since.IsZero()
	if before.Up == now.Up && !first {
		now.Since = before.Since
	}
	d.last = now
	d.mu.Unlock()
	switch {
	case now.Up && !before.Up:
		log.Info("dependency is up", "dependency", d.name)
	case !now.Up && (before.Up || first):
		log.Warn("dependency is down", "dependency", d.name, "error", err.Error())
	}
	return now.Up
}
