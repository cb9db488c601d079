package main

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"mockup.dev/mockup/workloads/mime-server/internal/store"
)

// formOverhead is what a multipart form may add to its file, in bytes.
const formOverhead = 1 << 20

// put stores the body under the name in the path, in place of what was there.
func (a *api) put(w http.ResponseWriter, r *http.Request) {
	if isForm(r) {
		a.fail(w, r, requestError("PUT takes the file itself as its body; POST takes forms"))
		return
	}
	a.store(w, r, r.PathValue("name"), store.Replace, expectation(r))
}

// post stores a new file: the file of a multipart form, or the body under the
// name that ?name= gives. ?conflict= says what to do if the name is taken.
func (a *api) post(w http.ResponseWriter, r *http.Request) {
	conflict, err := conflictOf(r.URL.Query().Get("conflict"))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.store(w, r, r.URL.Query().Get("name"), conflict, nil)
}

func conflictOf(word string) (store.Conflict, error) {
	switch word {
	case "", "refuse":
		return store.Refuse, nil
	case "number":
		return store.Number, nil
	case "replace":
		return store.Replace, nil
	}
	return 0, requestError("conflict must be refuse, number or replace")
}

func (a *api) store(w http.ResponseWriter, r *http.Request, name string, conflict store.Conflict, expect func(*store.Info) bool) {
	info, created, err := a.receive(w, r, name, conflict, expect)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.received.Add(float64(info.Size))
	a.log.InfoContext(r.Context(), "file stored", "file", info.Name, "size", info.Size, "sha256", info.SHA256)
	describe(w.Header(), info)
	w.Header().Set("Location", (&url.URL{Path: "/files/" + info.Name}).EscapedPath())
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	writeJSON(w, status, info)
}

// receive takes the file of a request into the store; it returns when the file
// is there to stay.
func (a *api) receive(w http.ResponseWriter, r *http.Request, name string, conflict store.Conflict, expect func(*store.Info) bool) (store.Info, bool, error) {
	source, err := a.open(w, r)
	if err != nil {
		return store.Info{}, false, err
	}
	if name == "" {
		name = source.name
	}
	upload, err := a.files.Create(name)
	if err != nil {
		return store.Info{}, false, err
	}
	defer upload.Discard()
	size, err := io.Copy(upload, io.LimitReader(source, a.limit+1))
	if err != nil {
		return store.Info{}, false, err
	}
	if size > a.limit {
		return store.Info{}, false, errTooLarge
	}
	if err := source.end(); err != nil {
		return store.Info{}, false, err
	}
	return upload.Commit(r.Context(), conflict, expect)
}

// source is the file in a request. end tells whether the request was whole.
type source struct {
	io.Reader
	name string
	end  func() error
}

func (s source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = bodyError{err}
	}
	return n, err
}

func (a *api) open(w http.ResponseWriter, r *http.Request) (source, error) {
	limit := a.limit
	if isForm(r) {
		limit += formOverhead
	}
	if r.ContentLength > limit {
		return source{}, errTooLarge
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit+1)
	if !isForm(r) {
		return source{Reader: r.Body, end: func() error { return nil }}, nil
	}
	form, err := r.MultipartReader()
	if err != nil {
		return source{}, requestError("the form cannot be read: " + err.Error())
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return source{}, requestError("the form holds no file")
		}
		if err != nil {
			return source{}, bodyError{err}
		}
		if part.FileName() != "" {
			end := func() error { return noMoreFiles(form.NextPart) }
			return source{Reader: part, name: part.FileName(), end: end}, nil
		}
	}
}

// noMoreFiles reads a form to its end, so that none that was cut off passes for
// whole, and no second file is dropped in silence.
func noMoreFiles[P interface{ FileName() string }](next func() (P, error)) error {
	for {
		part, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return bodyError{err}
		}
		if part.FileName() != "" {
			return requestError("the form holds more than one file")
		}
	}
}

func isForm(r *http.Request) bool {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return mediaType == "multipart/form-data"
}

// expectation is what the request says of the file it changes, by If-Match and
// If-None-Match (RFC 9110, 13.1); nil if it says nothing.
func expectation(r *http.Request) func(*store.Info) bool {
	match, noneMatch := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	if match == "" && noneMatch == "" {
		return nil
	}
	return func(current *store.Info) bool {
		return (match == "" || matches(match, current)) && (noneMatch == "" || !matches(noneMatch, current))
	}
}

func matches(tags string, current *store.Info) bool {
	if current == nil {
		return false
	}
	for tag := range strings.SplitSeq(tags, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == current.ETag() {
			return true
		}
	}
	return false
}
