package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"mockup.dev/mockup/workloads/internal/problem"
	"mockup.dev/mockup/workloads/mime-server/internal/store"
)

// api serves a store under /files.
type api struct {
	files *store.Store
	limit int64 // bytes of the biggest file taken
	log   *slog.Logger

	received prometheus.Counter
}

func newAPI(files *store.Store, limit int64, log *slog.Logger, metrics prometheus.Registerer) *api {
	a := &api{files: files, limit: limit, log: log, received: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mime_server_stored_bytes_total",
		Help: "Bytes of the files that were taken and acknowledged.",
	})}
	metrics.MustRegister(a.received)
	return a
}

func (a *api) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /files", a.list)
	mux.HandleFunc("GET /files/{$}", a.list)
	mux.HandleFunc("POST /files", a.post)
	mux.HandleFunc("POST /files/{$}", a.post)
	mux.HandleFunc("GET /files/{name...}", a.get)
	mux.HandleFunc("PUT /files/{name...}", a.put)
	mux.HandleFunc("DELETE /files/{name...}", a.delete)
}

// listing is the body of GET /files.
type listing struct {
	Files          []store.Info    `json:"files"`
	Count          int             `json:"count"`
	Bytes          int64           `json:"bytes"`
	MaxUploadBytes int64           `json:"maxUploadBytes"`
	Skipped        []store.Skipped `json:"skipped,omitempty"`
}

func (a *api) list(w http.ResponseWriter, r *http.Request) {
	found, err := a.files.List(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	body := listing{Files: found.Files, Count: len(found.Files), MaxUploadBytes: a.limit, Skipped: found.Skipped}
	for _, f := range found.Files {
		body.Bytes += f.Size
	}
	writeJSON(w, http.StatusOK, body)
}

func (a *api) delete(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if err := a.files.Delete(r.Context(), name, expectation(r)); err != nil {
		a.fail(w, r, err)
		return
	}
	a.log.InfoContext(r.Context(), "file deleted", "file", name)
	w.WriteHeader(http.StatusNoContent)
}

// bodyError is a fault in what the client sent, not in what we did with it.
type bodyError struct{ error }

func (e bodyError) Unwrap() error { return e.error }

// requestError is a request that cannot be meant as it is, in words for its author.
type requestError string

func (e requestError) Error() string { return string(e) }

var errTooLarge = errors.New("the file is too large")

// fail answers with the problem that err is. What the client cannot mend, and
// need not see, goes to the log.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, detail := a.explain(err)
	if status >= 500 {
		a.log.ErrorContext(r.Context(), "request failed", "error", err.Error())
	}
	problem.Write(w, r, status, detail)
}

func (a *api) explain(err error) (status int, detail string) {
	var tooLarge *http.MaxBytesError
	var body bodyError
	var network net.Error
	var request requestError
	switch {
	case errors.Is(err, errTooLarge), errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, "A file may have " + strconv.FormatInt(a.limit, 10) + " bytes at most."
	case errors.Is(err, store.ErrName), errors.As(err, &request):
		return http.StatusBadRequest, err.Error()
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound, "There is no file of this name."
	case errors.Is(err, store.ErrExists):
		return http.StatusConflict, "There is a file of this name already. PUT replaces it."
	case errors.Is(err, store.ErrConflict):
		return http.StatusConflict, "The name is that of a folder, or a part of it is that of a file."
	case errors.Is(err, store.ErrPrecondition):
		return http.StatusPreconditionFailed, "The file is not, or no longer, the one that the request expects."
	case errors.Is(err, store.ErrFull):
		return http.StatusInsufficientStorage, "There is no space left for this file."
	case errors.As(err, &body) && errors.As(err, &network) && network.Timeout():
		return http.StatusRequestTimeout, "The file stopped arriving."
	case errors.As(err, &body), errors.Is(err, context.Canceled):
		return http.StatusBadRequest, "The file did not arrive whole."
	}
	return http.StatusInternalServerError, "The file could not be read or stored."
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// An error here means that the client is gone.
	_ = json.NewEncoder(w).Encode(body)
}
