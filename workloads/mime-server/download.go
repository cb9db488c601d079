package main

import (
	"encoding/base64"
	"encoding/hex"
	"mime"
	"net/http"
	"path"

	"mockup.dev/mockup/workloads/mime-server/internal/content"
	"mockup.dev/mockup/workloads/mime-server/internal/store"
)

const (
	// sandbox keeps a stored file from acting as a page of this site: it runs no
	// script, sends no form and has an origin of its own.
	sandbox = "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
	// Browsers show PDF in a viewer of their own, which is no part of the site,
	// and refuse to show it in a sandbox.
	pdfPolicy = "frame-ancestors 'self'"
)

// get serves GET and HEAD, with ranges and conditions.
func (a *api) get(w http.ResponseWriter, r *http.Request) {
	file, info, err := a.files.Open(r.Context(), r.PathValue("name"))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	defer file.Close()
	header := w.Header()
	describe(header, info)
	header.Set("Content-Type", info.Type)
	header.Set("Content-Disposition", disposition(info, r.URL.Query().Has("download")))
	header.Set("Content-Security-Policy", policy(info.Type))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	// A name can get another content at any time: ask again, which costs a 304.
	header.Set("Cache-Control", "private, no-cache")
	http.ServeContent(w, r, "", info.Modified, file)
}

// describe gives the digest three times over: as the entity tag, as RFC 9530
// has it, and as sha256sum prints it.
func describe(header http.Header, info store.Info) {
	header.Set("ETag", info.ETag())
	header.Set("X-Content-Sha256", info.SHA256)
	if raw, err := hex.DecodeString(info.SHA256); err == nil {
		header.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(raw)+":")
	}
}

func disposition(info store.Info, download bool) string {
	kind := "attachment"
	if content.Inline(info.Type) && !download {
		kind = "inline"
	}
	return mime.FormatMediaType(kind, map[string]string{"filename": path.Base(info.Name)})
}

func policy(mediaType string) string {
	if mediaType == "application/pdf" {
		return pdfPolicy
	}
	return sandbox
}
