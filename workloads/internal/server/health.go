package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mockup.dev/mockup/workloads/internal/version"
)

// checkTimeout bounds a readiness check or a look at a dependency.
const checkTimeout = 2 * time.Second

// health knows whether the service is alive, ready and with what it depends on.
type health struct {
	service      string
	log          *slog.Logger
	checks       map[string]func(context.Context) error
	dependencies map[string]*dependency
	dependencyUp *prometheus.GaugeVec
	draining     atomic.Bool
}

func newHealth(service string, log *slog.Logger) *health {
	return &health{
		service:      service,
		log:          log,
		checks:       map[string]func(context.Context) error{},
		dependencies: map[string]*dependency{},
		dependencyUp: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "dependency_up",
			Help: "Whether a service that this one calls answered when last asked.",
		}, []string{"dependency"}),
	}
}

func (h *health) start(ctx context.Context) {
	for _, d := range h.dependencies {
		go d.watch(ctx, h.log, h.dependencyUp.WithLabelValues(d.name))
	}
}

func (h *health) drain() { h.draining.Store(true) }

// closeWhenDraining ends each connection with the response on it, so that
// clients go elsewhere before the listener closes.
func (h *health) closeWhenDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// readiness is the body of /readyz.
type readiness struct {
	Status       string                     `json:"status"` // ready, unready or draining
	Service      string                     `json:"service"`
	Version      string                     `json:"version"`
	Checks       map[string]checkResult     `json:"checks,omitempty"`
	Dependencies map[string]dependencyState `json:"dependencies,omitempty"`
}

type checkResult struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

func (h *health) live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, readiness{Status: "alive", Service: h.service, Version: version.Version})
}

func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	body := readiness{Status: "ready", Service: h.service, Version: version.Version,
		Checks: map[string]checkResult{}, Dependencies: map[string]dependencyState{}}
	code := http.StatusOK
	for name, check := range h.checks {
		result := checkResult{OK: true}
		if err := within(r.Context(), checkTimeout, check); err != nil {
			result = checkResult{Error: err.Error()}
			body.Status, code = "unready", http.StatusServiceUnavailable
		}
		body.Checks[name] = result
	}
	for name, d := range h.dependencies {
		body.Dependencies[name] = d.state()
	}
	if h.draining.Load() {
		body.Status, code = "draining", http.StatusServiceUnavailable
	}
	writeJSON(w, code, body)
}

// oneAtATime keeps a check that hangs from holding more than one thread.
func oneAtATime(check func(context.Context) error) func(context.Context) error {
	turn := make(chan struct{}, 1)
	return func(ctx context.Context) error {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
			return check(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// within runs check, and gives up on one that hangs, as a lost disk makes it do.
func within(ctx context.Context, timeout time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- check(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// An error here means that the prober is gone.
	_ = json.NewEncoder(w).Encode(body)
}
