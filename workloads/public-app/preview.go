package main

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"mockup.dev/mockup/workloads/internal/fileclient"
)

// maxText is how much of a text the preview shows, in bytes.
const maxText = 128 << 10

// preview is what the page of one file shows.
type preview struct {
	fileclient.File
	Kind string // image, audio, video, pdf, text, document (a text in a foreign encoding) or none
	Text string
	Cut  bool // Text is only the beginning
}

func (s *site) view(w http.ResponseWriter, r *http.Request) {
	shown, err := s.preview(r.Context(), r.PathValue("name"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	s.render(w, r, http.StatusOK, "view.html", shown)
}

// preview asks for the head of the file: its headers say what it is, and if it
// is text, the body is what to show.
func (s *site) preview(ctx context.Context, name string) (preview, error) {
	head := http.Header{"Range": {fmt.Sprintf("bytes=0-%d", maxText-1)}}
	response, err := s.files.Get(ctx, http.MethodGet, name, nil, head)
	if err != nil {
		return preview{}, err
	}
	defer response.Body.Close()
	shown := preview{File: describe(name, response)}
	shown.Kind = kindOf(shown.Type)
	if shown.Kind != "text" || shown.Size == 0 {
		return shown, nil
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxText))
	if err != nil {
		return preview{}, fmt.Errorf("%w: reading the preview: %w", fileclient.ErrUnavailable, err)
	}
	shown.Cut = shown.Size > int64(len(text))
	shown.Text = string(text)
	if shown.Cut {
		shown.Text = wholeRunes(shown.Text)
	}
	if !utf8.ValidString(shown.Text) {
		shown.Kind, shown.Text = "document", ""
	}
	return shown, nil
}

func describe(name string, response *http.Response) fileclient.File {
	file := fileclient.File{
		Name:   name,
		Size:   response.ContentLength,
		Type:   response.Header.Get("Content-Type"),
		SHA256: response.Header.Get("X-Content-Sha256"),
	}
	// "bytes 0-131071/2097152"; an empty file has no range to answer with.
	if _, total, ok := strings.Cut(response.Header.Get("Content-Range"), "/"); ok {
		if size, err := strconv.ParseInt(total, 10, 64); err == nil {
			file.Size = size
		}
	}
	file.Modified, _ = time.Parse(http.TimeFormat, response.Header.Get("Last-Modified"))
	return file
}

// kindOf is the way in which a type is shown. HTML and its like are shown as
// the text they are written in.
func kindOf(mediaType string) string {
	base, _, _ := mime.ParseMediaType(mediaType)
	kind, _, _ := strings.Cut(base, "/")
	switch {
	case kind == "image", kind == "audio", kind == "video", kind == "text":
		return kind
	case base == "application/pdf":
		return "pdf"
	}
	switch base {
	case "application/json", "application/jsonl", "application/sql", "application/toml", "application/xml",
		"application/x-ndjson", "application/yaml", "application/geo+json":
		return "text"
	}
	return "none"
}

// wholeRunes drops the part of a character that a cut may have left at the end.
func wholeRunes(text string) string {
	for range utf8.UTFMax - 1 {
		if r, size := utf8.DecodeLastRuneInString(text); r != utf8.RuneError || size != 1 {
			break
		}
		text = text[:len(text)-1]
	}
	return text
}
