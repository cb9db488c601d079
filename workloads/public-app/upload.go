package main

import (
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"

	"mockup.dev/mockup/workloads/internal/fileclient"
)

const (
	// formOverhead is what a form may add to its file, in bytes.
	formOverhead = 1 << 20
	// maxDrain is how much of an upload that cannot be stored is still read, in
	// bytes: browsers show the answer only when they have sent what they wanted.
	maxDrain = 64 << 20
)

// upload hands the files of a form on to mime-server as they arrive; no file is
// ever held in memory, and none is sent twice.
func (s *site) upload(w http.ResponseWriter, r *http.Request) {
	stored, err := s.passOn(r)
	if err != nil {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain)
		s.fail(w, r, err)
		return
	}
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"files": stored})
		return
	}
	query := url.Values{}
	for _, file := range stored {
		query.Add("stored", file.Name)
	}
	// Written by hand, because http.Redirect makes the address absolute.
	w.Header().Set("Location", "./?"+query.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

func (s *site) passOn(r *http.Request) ([]fileclient.File, error) {
	if limit := s.limit.Load(); limit > 0 && r.ContentLength > limit+formOverhead {
		return nil, s.tooBig()
	}
	form, err := r.MultipartReader()
	if err != nil {
		return nil, visitorError{http.StatusBadRequest, "Nothing was uploaded", "Please choose a file first."}
	}
	var stored []fileclient.File
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errUnreadable
		}
		file, err := s.passOnPart(r, part)
		if err != nil {
			return nil, err
		}
		stored = append(stored, file...)
	}
	if len(stored) == 0 {
		return nil, visitorError{http.StatusBadRequest, "Nothing was uploaded", "Please choose a file first."}
	}
	return stored, nil
}

// passOnPart stores a part that is a file; other parts are none of ours.
func (s *site) passOnPart(r *http.Request, part *multipart.Part) ([]fileclient.File, error) {
	if part.FileName() == "" {
		return nil, nil
	}
	file, err := s.files.Upload(r.Context(), part.FileName(), part)
	if err != nil {
		return nil, err
	}
	return []fileclient.File{file}, nil
}
