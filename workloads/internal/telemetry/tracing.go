package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"mockup.dev/mockup/workloads/internal/version"
)

// StartTracing makes every request a part of a W3C trace. Spans are exported by
// OTLP over HTTP when OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ form) is set;
// without it trace ids still reach the logs and the next service. The SDK reads
// the other OTEL_* variables itself. The returned function sends what is left.
func StartTracing(ctx context.Context, service string, log *slog.Logger) (func(context.Context) error, error) {
	options := []trace.TracerProviderOption{trace.WithResource(describe(service))}
	if exporting() {
		// No retry: a collector that is away must not hold memory or a shutdown.
		exporter, err := otlptracehttp.New(ctx,
			otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}))
		if err != nil {
			return nil, fmt.Errorf("setting up the OTLP exporter: %w", err)
		}
		options = append(options, trace.WithBatcher(exporter))
	}
	provider := trace.NewTracerProvider(options...)
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("exporting traces failed", "error", err.Error())
	}))
	return provider.Shutdown, nil
}

func exporting() bool {
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// describe names the service in its spans; OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES win over the defaults given here.
func describe(service string) *resource.Resource {
	own := resource.NewSchemaless(
		attribute.String("service.name", service),
		attribute.String("service.version", version.Version))
	merged, err := resource.Merge(own, resource.Environment())
	if err != nil {
		return own
	}
	return merged
}

// Transport passes the trace and the request id of an outgoing request's
// context on, and makes the request a span.
func Transport(base http.RoundTripper) http.RoundTripper {
	return otelhttp.NewTransport(passRequestID{base})
}

type passRequestID struct{ base http.RoundTripper }

func (t passRequestID) RoundTrip(r *http.Request) (*http.Response, error) {
	if id := RequestID(r.Context()); id != "" {
		r = r.Clone(r.Context())
		r.Header.Set(RequestIDHeader, id)
	}
	return t.base.RoundTrip(r)
}
