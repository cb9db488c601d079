package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"size": humanSize,
	"when": func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
	"iso":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"kind": func(mediaType string) string { return kindOf(mediaType) },
	"type": func(mediaType string) string { base, _, _ := strings.Cut(mediaType, ";"); return base },
	"file": escapeName,
	"asset": func(name string) string {
		return "assets/" + name + "?v=" + assetVersion
	},
}).ParseFS(templateFiles, "templates/*.html"))

// assetVersion changes with the assets, so that browsers may keep them for ever.
var assetVersion = digestAssets()

// rendered is what every template gets: Base leads from the page back to the
// root of the site, by however deep the address of the page is.
type rendered struct {
	Base string
	Data any
}

func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var page bytes.Buffer
	base := strings.Repeat("../", strings.Count(r.URL.EscapedPath(), "/")-1)
	if base == "" {
		base = "./"
	}
	if err := templates.ExecuteTemplate(&page, name, rendered{Base: base, Data: data}); err != nil {
		s.log.ErrorContext(r.Context(), "rendering failed", "template", name, "error", err.Error())
		http.Error(w, "The page could not be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // fails only if the visitor is gone
}

func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	content, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	header.Set("ETag", `"`+assetVersion+`"`)
	if r.URL.Query().Get("v") == assetVersion {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

func digestAssets() string {
	digest := sha256.New()
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		panic(err) // the assets are part of this binary
	}
	for _, entry := range entries {
		content, err := assetFiles.ReadFile("assets/" + entry.Name())
		if err != nil {
			panic(err)
		}
		digest.Write(content)
	}
	return hex.EncodeToString(digest.Sum(nil))[:12]
}

// escapeName makes a name part of a relative address, folder by folder.
func escapeName(name string) template.URL {
	segments := strings.Split(name, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return template.URL(strings.Join(segments, "/"))
}

func humanSize(bytes int64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, units := float64(bytes), []string{"KB", "MB", "GB", "TB"}
	for i, unit := range units {
		value /= 1024
		if value < 999.95 || i == len(units)-1 {
			text := strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0")
			return text + " " + unit
		}
	}
	return ""
}
