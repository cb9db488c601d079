package main

import (
	"log/slog"
	"net/http"
	"sync/atomic"

	"mockup.dev/mockup/workloads/internal/fileclient"
)

// pagePolicy lets a page load what this site serves, and nothing from elsewhere.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; " +
	"frame-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"

// site is the page and what it links to. Every link is relative, so that a
// gateway may serve the site under any path.
type site struct {
	files *fileclient.Client
	log   *slog.Logger
	// limit is the size of the biggest file that mime-server takes, in bytes, as
	// it last said; 0 before it has said anything.
	limit atomic.Int64
}

func (s *site) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /list", s.list)
	mux.HandleFunc("POST /upload", s.upload)
	mux.HandleFunc("GET /view/{name...}", s.view)
	mux.HandleFunc("GET /raw/{name...}", s.raw)
	mux.HandleFunc("GET /download/{name...}", s.download)
	mux.HandleFunc("GET /assets/{file}", serveAsset)
	mux.HandleFunc("/", s.nothing)
}

// protect refuses what other sites make a visitor's browser send, and says how
// browsers are to treat our pages; answers with files replace that policy.
func (s *site) protect(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, visitorError{http.StatusForbidden, "This came from another site",
			"Uploads are taken from this page only. Open it and try again."})
	}))
	guarded := guard.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", pagePolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		guarded.ServeHTTP(w, r)
	})
}
