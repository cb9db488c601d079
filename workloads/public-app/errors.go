package main

import (
	"errors"
	"net/http"
	"strings"

	"mockup.dev/mockup/workloads/internal/fileclient"
	"mockup.dev/mockup/workloads/internal/problem"
)

// visitorError is what went wrong, in the words of the page.
type visitorError struct {
	Status int
	Title  string
	Detail string
}

func (e visitorError) Error() string { return e.Title + ": " + e.Detail }

var errUnreadable = visitorError{http.StatusBadRequest, "The upload did not arrive whole",
	"The connection may have been interrupted. Nothing was stored; please try again."}

// explain turns any error into words for the visitor.
func (s *site) explain(err error) visitorError {
	var known visitorError
	var refused *fileclient.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, fileclient.ErrUnavailable):
		return visitorError{http.StatusServiceUnavailable, "The file store is not answering",
			"Your files are safe, but cannot be reached at the moment. Please try again shortly."}
	case !errors.As(err, &refused):
		return errUnreadable
	}
	switch refused.Status {
	case http.StatusRequestEntityTooLarge:
		return s.tooBig()
	case http.StatusNotFound:
		return visitorError{http.StatusNotFound, "There is no such file", "It may have been renamed or deleted."}
	case http.StatusInsufficientStorage:
		return visitorError{http.StatusInsufficientStorage, "The file store is full", "There is no space left for this file."}
	case http.StatusBadRequest, http.StatusConflict:
		return visitorError{refused.Status, "This file name cannot be used", refused.Detail}
	case http.StatusRequestTimeout:
		return errUnreadable
	}
	return visitorError{http.StatusBadGateway, "The file store had a problem", "Please try again shortly."}
}

func (s *site) tooBig() visitorError {
	detail := "It is bigger than the file store accepts."
	if limit := s.limit.Load(); limit > 0 {
		detail = "The limit is " + humanSize(limit) + " a file."
	}
	return visitorError{http.StatusRequestEntityTooLarge, "This file is too big", detail}
}

// fail answers with the error as a page, or as a problem document for scripts.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	shown := s.explain(err)
	if shown.Status >= 500 {
		s.log.ErrorContext(r.Context(), "request failed", "error", err.Error())
	}
	if shown.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5") // seconds
	}
	if wantsJSON(r) {
		problem.Write(w, r, shown.Status, shown.Title+". "+shown.Detail)
		return
	}
	s.render(w, r, shown.Status, "error.html", shown)
}

func (s *site) nothing(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.fail(w, r, visitorError{http.StatusMethodNotAllowed, "This cannot be done", "The address does not take this kind of request."})
		return
	}
	s.fail(w, r, visitorError{http.StatusNotFound, "There is no such page", "The address may be mistyped."})
}

func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}
