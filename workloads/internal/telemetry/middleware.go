// Package telemetry gives a service its logs, metrics and traces.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Middleware traces, counts and logs each request that next answers, and turns
// a panic into a 500. next must be, or end in, a http.ServeMux: its pattern is
// the route. Probes (see IsProbe) pass unobserved: they would drown the rest.
func Middleware(log *slog.Logger, m *Metrics, next http.Handler) http.Handler {
	observed := otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		observe(log, m, next, w, r)
	}), "http")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if IsProbe(r) {
			next.ServeHTTP(w, r)
			return
		}
		observed.ServeHTTP(w, r)
	})
}

// IsProbe says whether r asks for the service's own health.
func IsProbe(r *http.Request) bool {
	return r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
}

func observe(log *slog.Logger, m *Metrics, next http.Handler, w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	m.inFlight.Inc()
	defer m.inFlight.Dec()
	r = withRequestID(w, r)
	recorder := &recorder{ResponseWriter: w}
	defer func() {
		failure := recover()
		answerPanic(log, recorder, r, failure)
		report(log, m, recorder, r, time.Since(started))
		if isAbort(failure) {
			panic(failure)
		}
	}()
	next.ServeHTTP(recorder, r)
}

// answerPanic logs a handler's panic and answers 500 where that is still
// possible. http.ErrAbortHandler is no bug: it is how a handler breaks off a
// response that it cannot complete, so that the client does not take it whole.
func answerPanic(log *slog.Logger, w *recorder, r *http.Request, failure any) {
	if failure == nil {
		return
	}
	if isAbort(failure) {
		w.aborted = true
		return
	}
	log.ErrorContext(r.Context(), "handler panicked", "panic", fmt.Sprint(failure), "stack", string(debug.Stack()))
	if w.code == 0 {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.aborted = true
}

func isAbort(failure any) bool {
	err, ok := failure.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

func report(log *slog.Logger, m *Metrics, w *recorder, r *http.Request, took time.Duration) {
	ctx, route, code := r.Context(), route(r), w.status()
	span := trace.SpanFromContext(ctx)
	if route != unmatched {
		span.SetName(r.Method + " " + route)
		span.SetAttributes(attribute.String("http.route", route))
	}
	m.observe(r.Method, route, code, took, span.SpanContext())
	log.LogAttrs(ctx, level(ctx, code, w.aborted), "request",
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.String("route", route),
		slog.Int("code", code),
		slog.Int64("bytes", w.bytes),
		slog.Float64("duration_seconds", took.Seconds()),
		slog.Bool("aborted", w.aborted))
}

// level of a request's log line. A response broken off because its client went
// away is the client's doing.
func level(ctx context.Context, code int, aborted bool) slog.Level {
	switch {
	case code >= 500, aborted && ctx.Err() == nil:
		return slog.LevelError
	case code >= 400, aborted:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

const unmatched = "unmatched"

// route is the pattern that matched, without its method: few label values,
// whatever clients ask for.
func route(r *http.Request) string {
	pattern := r.Pattern
	if _, path, found := strings.Cut(pattern, " "); found {
		pattern = path
	}
	if pattern == "" || pattern == "/" {
		return unmatched
	}
	return strings.TrimSuffix(pattern, "{$}")
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	code    int
	bytes   int64
	aborted bool
}

func (w *recorder) WriteHeader(code int) {
	if w.code == 0 && code >= 200 { // 1xx are not the answer
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) status() int {
	if w.code == 0 {
		return http.StatusOK
	}
	return w.code
}
