package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"mockup.dev/mockup/workloads/internal/telemetry"
	"mockup.dev/mockup/workloads/internal/version"
)

// run serves until SIGTERM or SIGINT, then ends in order. It logs to out.
func (p Program) run(ctx context.Context, out io.Writer) (err error) {
	settings, err := p.settings()
	log := telemetry.NewLogger(out, p.Name, settings.level)
	defer func() {
		if err != nil {
			log.Error("stopped", "error", err.Error())
		}
	}()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	flush, err := telemetry.StartTracing(ctx, p.Name, log)
	if err != nil {
		return err
	}
	service := newService(p.Name, log)
	// Traces go out last, when nothing adds to them any more.
	service.OnStop(flush)
	if err := p.Setup(ctx, service); err != nil {
		return err
	}
	return service.serve(ctx, settings)
}

// serve opens both listeners, waits for ctx to end or a listener to fail, and
// shuts down so that no request in flight is lost.
func (s *Service) serve(ctx context.Context, set settings) error {
	main, err := listen(set.port)
	if err != nil {
		return err
	}
	metrics, err := listen(set.metricsPort)
	if err != nil {
		main.Close()
		return err
	}
	mainServer := newServer(s.handler(), s.Log)
	metricsServer := newServer(s.metricsHandler(), s.Log)
	defer metricsServer.Close()
	failed := make(chan error, 2)
	go func() { failed <- mainServer.Serve(main) }()
	go func() { failed <- metricsServer.Serve(metrics) }()
	s.health.start(ctx)
	s.Log.Info("listening", "address", main.Addr().String(), "metrics", metrics.Addr().String(), "version", version.Version)
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	return s.shutdown(context.WithoutCancel(ctx), mainServer, set)
}

// shutdown first turns unready but goes on serving, so that whoever sends
// requests can turn away; then takes no more and lets those in flight end.
func (s *Service) shutdown(ctx context.Context, server *http.Server, set settings) error {
	s.Log.Info("draining", "delay", set.drainDelay.String(), "timeout", set.shutdownWithin.String())
	s.health.drain()
	time.Sleep(set.drainDelay)
	patient, cancel := context.WithTimeout(ctx, set.shutdownWithin)
	defer cancel()
	shutdownErr := server.Shutdown(patient)
	if errors.Is(shutdownErr, context.DeadlineExceeded) {
		server.Close()
		shutdownErr = fmt.Errorf("requests in flight did not end within %s and were cut off", set.shutdownWithin)
	}
	brief, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := errors.Join(shutdownErr, s.stop(brief)); err != nil {
		return err
	}
	s.Log.Info("stopped")
	return nil
}

func (s *Service) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.Metrics.Handler())
	return limitStalls(stallTimeout, mux)
}

func listen(port int64) (net.Listener, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("", strconv.FormatInt(port, 10)))
	if err != nil {
		return nil, fmt.Errorf("listening on port %d: %w", port, err)
	}
	return listener, nil
}

// newServer bounds what a client can hold open. Bodies of any length may pass
// as long as they move: see limitStalls. The idle timeout is longer than the
// 60 s for which nginx keeps upstream connections, so that nginx, and not we,
// closes them: otherwise a request could meet a closing connection.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      stallTimeout,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
