package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mockup.dev/mockup/workloads/internal/telemetry"
)

func ready(s *Service) (int, string) {
	recorder := httptest.NewRecorder()
	s.Mux.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	return recorder.Code, recorder.Body.String()
}

func quietService() *Service {
	return newService("test", slog.New(slog.NewTextHandler(io.Discard, nil)))
}

func TestReadiness(t *testing.T) {
	s := quietService()
	s.DependsOn("other", func(context.Context) error { return errors.New("down") })
	if code, body := ready(s); code != 200 || !strings.Contains(body, `"other":{"up":false}`) {
		t.Errorf("with a dependency down: %d %s, want 200", code, body)
	}
	s.Check("storage", func(context.Context) error { return errors.New("no space") })
	if code, body := ready(s); code != 503 || !strings.Contains(body, "no space") {
		t.Errorf("with a failed check: %d %s, want 503", code, body)
	}
	s.Check("storage", func(context.Context) error { return nil })
	s.health.drain()
	if code, body := ready(s); code != 503 || !strings.Contains(body, "draining") {
		t.Errorf("draining: %d %s, want 503", code, body)
	}
}

// A disk that hangs must be seen as such, and must not pile up threads.
func TestHangingCheckIsUnready(t *testing.T) {
	s := quietService()
	hang := make(chan struct{})
	defer close(hang)
	started := make(chan struct{}, 10)
	s.Check("storage", func(context.Context) error {
		started <- struct{}{}
		<-hang
		return nil
	})
	for range 2 {
		begun := time.Now()
		if code, _ := ready(s); code != 503 {
			t.Errorf("code %d, want 503", code)
		}
		if took := time.Since(begun); took > 2*checkTimeout {
			t.Errorf("took %s", took)
		}
	}
	if len(started) != 1 {
		t.Errorf("%d checks hang, want 1", len(started))
	}
}

// A bug in a handler is answered, logged with its trace and survived.
func TestPanicBecomes500(t *testing.T) {
	var out strings.Builder
	s := newService("test", telemetry.NewLogger(&out, "test", slog.LevelInfo))
	s.Mux.HandleFunc("GET /bug", func(http.ResponseWriter, *http.Request) { panic("a bug") })
	recorder := httptest.NewRecorder()
	s.handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/bug", nil))
	if recorder.Code != 500 {
		t.Errorf("code %d, want 500", recorder.Code)
	}
	for _, want := range []string{`"panic":"a bug"`, `"stack":"`, `"code":500`, `"status":"error"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %s: %s", want, out.String())
		}
	}
}
