package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"mockup.dev/mockup/workloads/internal/telemetry"
)

// Service is what a program's Setup builds upon.
type Service struct {
	Name string
	Log  *slog.Logger
	// Metrics is where the service registers what it counts itself.
	Metrics *telemetry.Metrics
	// Mux holds the routes; /healthz and /readyz are there already.
	Mux *http.ServeMux
	// Handler, when set, answers in place of Mux, into which it must lead.
	Handler http.Handler

	health *health
	onStop []func(context.Context) error
}

func newService(name string, log *slog.Logger) *Service {
	s := &Service{
		Name:    name,
		Log:     log,
		Metrics: telemetry.NewMetrics(),
		Mux:     http.NewServeMux(),
		health:  newHealth(name, log),
	}
	s.Metrics.Registry.MustRegister(s.health.dependencyUp)
	s.Mux.HandleFunc("GET /healthz", s.health.live)
	s.Mux.HandleFunc("GET /readyz", s.health.ready)
	return s
}

// Check makes readiness depend on check, which has two seconds to answer.
func (s *Service) Check(name string, check func(context.Context) error) {
	s.health.checks[name] = oneAtATime(check)
}

// DependsOn watches another service. Its state is shown by /readyz and by the
// metric dependency_up, and never makes this service unready: else the restart
// of one would take down the site.
func (s *Service) DependsOn(name string, probe func(context.Context) error) {
	s.health.dependencies[name] = &dependency{name: name, probe: probe}
}

// OnStop has stop called, last registered first, when no request is left.
func (s *Service) OnStop(stop func(context.Context) error) {
	s.onStop = append(s.onStop, stop)
}

func (s *Service) stop(ctx context.Context) error {
	for i := len(s.onStop) - 1; i >= 0; i-- {
		if err := s.onStop[i](ctx); err != nil {
			return fmt.Errorf("stopping: %w", err)
		}
	}
	return nil
}

// handler is all that stands before the routes.
func (s *Service) handler() http.Handler {
	var routes http.Handler = s.Mux
	if s.Handler != nil {
		routes = s.Handler
	}
	return limitStalls(stallTimeout, s.health.closeWhenDraining(telemetry.Middleware(s.Log, s.Metrics, routes)))
}
