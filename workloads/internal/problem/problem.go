// Package problem answers errors as application/problem+json (RFC 9457).
package problem

import (
	"encoding/json"
	"net/http"
)

// ContentType of a problem document.
const ContentType = "application/problem+json"

// Details is a problem document. Type stays about:blank: the status says what
// kind of problem it is, Detail what to do about it.
type Details struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"`
}

// Write answers r with status and a detail written for the caller to read.
func Write(w http.ResponseWriter, r *http.Request, status int, detail string) {
	header := w.Header()
	header.Set("Content-Type", ContentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// An error here means that the client is gone.
	_ = json.NewEncoder(w).Encode(Details{
		Type:     "about:blank",
		Title:    http.StatusText(status),
		Status:   status,
		Detail:   detail,
		Instance: r.URL.EscapedPath(),
	})
}

// Fallback wraps mux so that its plain text answers for unknown paths (404) and
// methods (405, with its Allow header) become problem documents too.
func Fallback(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w = &fallback{ResponseWriter: w, request: r}
		}
		mux.ServeHTTP(w, r)
	})
}

type fallback struct {
	http.ResponseWriter
	request  *http.Request
	replaced bool
}

func (w *fallback) WriteHeader(status int) {
	if status < 400 {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.replaced = true
	w.Header().Del("Content-Length")
	detail := "There is nothing at this address."
	if status == http.StatusMethodNotAllowed {
		detail = "This address allows " + w.Header().Get("Allow") + "."
	}
	Write(w.ResponseWriter, w.request, status, detail)
}

func (w *fallback) Write(p []byte) (int, error) {
	if w.replaced {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

func (w *fallback) Unwrap() http.ResponseWriter { return w.ResponseWriter }
