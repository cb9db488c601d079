package telemetry

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// NewLogger returns a logger that writes one JSON object a line to w. Each line
// names the service, bears "status" ("error" at level error, else "ok"), and,
// within a request, its trace_id, span_id and request_id. A log query such as
//
//	{service="mime-server"} | json | status="error"
//
// therefore finds exactly what went wrong, and the trace it belongs to.
func NewLogger(w io.Writer, service string, level slog.Leveler) *slog.Logger {
	json := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: lowerLevel})
	return slog.New(contextHandler{json}).With("service", service)
}

// lowerLevel writes levels as info and error: what log viewers colour by.
func lowerLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.LevelKey {
		a.Value = slog.StringValue(strings.ToLower(a.Value.String()))
	}
	return a
}

// contextHandler adds to each record what the context knows about its request.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	status := "ok"
	if r.Level >= slog.LevelError {
		status = "error"
	}
	r = r.Clone()
	r.AddAttrs(slog.String("status", status))
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(
			slog.String("trace_id", span.TraceID().String()),
			slog.String("span_id", span.SpanID().String()))
	}
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup is ignored: every key stays at the top, where log queries look.
func (h contextHandler) WithGroup(string) slog.Handler { return h }
