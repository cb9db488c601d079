package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"mockup.dev/mockup/workloads/internal/fileclient"
	"mockup.dev/mockup/workloads/internal/problem"
)

// api answers from what mime-server lists; it keeps nothing of its own.
type api struct {
	files *fileclient.Client
	log   *slog.Logger
}

// route is one operation. Path is its name in the OpenAPI document, where a
// file name is one parameter; Pattern takes names with folders as well.
type route struct {
	Method, Path, Pattern string
	handle                http.HandlerFunc
}

func (a *api) routes() []route {
	return []route{
		{"GET", "/", "/{$}", a.index},
		{"GET", "/openapi.json", "/openapi.json", serveOpenAPI},
		{"GET", "/api/v1/inventory", "/api/v1/inventory", a.inventory},
		{"GET", "/api/v1/stats", "/api/v1/stats", a.stats},
		{"GET", "/api/v1/search", "/api/v1/search", a.search},
		{"DELETE", "/api/v1/files/{name}", "/api/v1/files/{name...}", a.delete},
	}
}

// index tells a visitor where the description is.
func (a *api) index(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, map[string]string{"service": "intranet-api", "openapi": prefix(r) + "/openapi.json"})
}

func (a *api) delete(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if name == "" {
		problem.Write(w, r, http.StatusBadRequest, "The address must name a file.")
		return
	}
	if err := a.files.Delete(r.Context(), name); err != nil {
		a.fail(w, r, err)
		return
	}
	a.log.InfoContext(r.Context(), "file deleted", "file", name)
	w.WriteHeader(http.StatusNoContent)
}

// fail answers with the problem that err is: one of the request is passed on as
// mime-server put it, one of mime-server becomes 502 or 503.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	var refused *fileclient.Error
	if errors.As(err, &refused) && refused.Status >= 400 && refused.Status < 500 {
		problem.Write(w, r, refused.Status, refused.Detail)
		return
	}
	a.log.ErrorContext(r.Context(), "request failed", "error", err.Error())
	if errors.Is(err, fileclient.ErrUnavailable) {
		w.Header().Set("Retry-After", "5") // seconds
		problem.Write(w, r, http.StatusServiceUnavailable, "mime-server does not answer. Try again shortly.")
		return
	}
	problem.Write(w, r, http.StatusBadGateway, "mime-server had a problem.")
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// An error here means that the client is gone.
	_ = json.NewEncoder(w).Encode(body)
}
