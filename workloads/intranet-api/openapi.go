package main

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"strings"

	"mockup.dev/mockup/workloads/internal/version"
)

//go:embed openapi.json
var openAPI []byte

// serveOpenAPI serves the description of this API, naming the path under which
// the gateway that the request came through offers it.
func serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	var document map[string]any
	if err := json.Unmarshal(openAPI, &document); err != nil {
		panic(err) // the document is part of this binary
	}
	if info, ok := document["info"].(map[string]any); ok {
		info["version"] = version.Version
	}
	url := prefix(r)
	if url == "" {
		url = "/"
	}
	document["servers"] = []map[string]string{{"url": url}}
	writeJSON(w, document)
}

// prefix is the path that a gateway has taken off the request's, without a
// slash at its end; "" where there is none, or none to be trusted.
func prefix(r *http.Request) string {
	given := strings.TrimSuffix(r.Header.Get("X-Forwarded-Prefix"), "/")
	if !strings.HasPrefix(given, "/") || strings.HasPrefix(given, "//") || len(given) > 256 {
		return ""
	}
	odd := strings.ContainsFunc(given, func(c rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-_.~", c)
	})
	if odd {
		return ""
	}
	return given
}
