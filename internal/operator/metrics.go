package operator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/kubernetes"
	"mockup.dev/mockup/internal/backend/podman"
	"mockup.dev/mockup/manifests"
)

const (
	// metricsTimeout bounds how long a client may take to say what it wants.
	metricsTimeout = 5 * time.Second
	// relistenPause is how long the operator waits to offer its metrics again.
	relistenPause = 5 * time.Second
)

// offerMetrics adds to the operator's metrics those of containers and volumes, and offers them all to the pods: on Podman at the
// port that manifests.OperatorMetricsService leads to, on a cluster by a Service that leads to the manager's own port.
func offerMetrics(mgr manager.Manager, b backend.Backend, log logr.Logger) error {
	var collector prometheus.Collector
	_, isPodman := b.(*podman.Backend)
	switch b := b.(type) {
	case *podman.Backend:
		collector = b.Metrics()
	case *kubernetes.Backend:
		collector = b.Metrics(log)
	default:
		return nil
	}
	if err := ctrlmetrics.Registry.Register(collector); err != nil {
		return fmt.Errorf("registering the metrics of containers: %w", err)
	}
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		defer ctrlmetrics.Registry.Unregister(collector)
		if !isPodman {
			<-ctx.Done()
			return nil
		}
		handler := promhttp.HandlerFor(ctrlmetrics.Registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
		for ctx.Err() == nil {
			if err := serveMetrics(ctx, handler); err != nil {
				log.Info("the metrics are not offered to pods for now", "error", err.Error())
			}
			select {
			case <-ctx.Done():
			case <-time.After(relistenPause):
			}
		}
		return nil
	}))
}

// serveMetrics until ctx ends.
func serveMetrics(ctx context.Context, metrics http.Handler) error {
	listener, err := podman.ListenNodePort(manifests.OperatorMetricsPort)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: metricsTimeout, BaseContext: func(net.Listener) context.Context { return ctx }}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving metrics: %w", err)
	}
	return nil
}
