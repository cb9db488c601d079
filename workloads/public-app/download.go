package main

import (
	"io"
	"net/http"
	"net/url"
)

// passedOn are the headers of a file that reach the visitor. Those that keep a
// file from acting as a page of this site are mime-server's to set, and replace
// the policy of our own pages.
var passedOn = []string{
	"Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Length", "Content-Range",
	"Content-Security-Policy", "Content-Type", "Cross-Origin-Resource-Policy", "ETag",
	"Last-Modified", "Repr-Digest", "X-Content-Sha256",
}

func (s *site) raw(w http.ResponseWriter, r *http.Request) { s.stream(w, r, nil) }

func (s *site) download(w http.ResponseWriter, r *http.Request) {
	s.stream(w, r, url.Values{"download": {""}})
}

// stream passes a file on as it comes.
func (s *site) stream(w http.ResponseWriter, r *http.Request, query url.Values) {
	response, err := s.files.Get(r.Context(), r.Method, r.PathValue("name"), query, r.Header)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer response.Body.Close()
	for _, key := range passedOn {
		key = http.CanonicalHeaderKey(key)
		if values := response.Header[key]; len(values) > 0 {
			w.Header()[key] = values
		}
	}
	w.WriteHeader(response.StatusCode)
	if _, err := io.Copy(w, response.Body); err != nil {
		if r.Context().Err() == nil {
			s.log.ErrorContext(r.Context(), "a download broke off", "error", err.Error())
		}
		// Break the connection, so that no half file passes for a whole one.
		panic(http.ErrAbortHandler)
	}
}
