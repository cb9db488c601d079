package main

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mockup.dev/mockup/workloads/internal/fileclient"
	"mockup.dev/mockup/workloads/internal/problem"
)

// Bounds of the parameter limit.
const (
	defaultLimit = 1000
	maxLimit     = 10000
)

// page is a part of a list of files.
type page struct {
	Items []fileclient.File `json:"items"`
	Total int               `json:"total"` // on all pages
	Bytes int64             `json:"bytes"` // on all pages
}

func (a *api) inventory(w http.ResponseWriter, r *http.Request) {
	a.answerPage(w, r, func(fileclient.File) bool { return true })
}

// search finds files by a part of their name, in any case, and by their type:
// all of it, without its parameters, or its first half, as in "image" or "image/*".
func (a *api) search(w http.ResponseWriter, r *http.Request) {
	query := strings.ToLower(r.URL.Query().Get("q"))
	wanted := strings.TrimSuffix(strings.ToLower(r.URL.Query().Get("type")), "/*")
	if query == "" && wanted == "" {
		problem.Write(w, r, http.StatusBadRequest, "Give q (a part of the name), type, or both.")
		return
	}
	a.answerPage(w, r, func(f fileclient.File) bool {
		return strings.Contains(strings.ToLower(f.Name), query) && isType(f.Type, wanted)
	})
}

func isType(mediaType, wanted string) bool {
	base := baseType(mediaType)
	kind, _, _ := strings.Cut(base, "/")
	return wanted == "" || wanted == base || wanted == kind
}

// baseType is a media type without its parameters.
func baseType(mediaType string) string {
	base, _, _ := strings.Cut(mediaType, ";")
	return strings.ToLower(strings.TrimSpace(base))
}

func (a *api) answerPage(w http.ResponseWriter, r *http.Request, keep func(fileclient.File) bool) {
	limit, err := number(r.URL.Query(), "limit", defaultLimit, 1, maxLimit)
	if err != nil {
		problem.Write(w, r, http.StatusBadRequest, err.Error())
		return
	}
	offset, err := number(r.URL.Query(), "offset", 0, 0, 1<<31-1)
	if err != nil {
		problem.Write(w, r, http.StatusBadRequest, err.Error())
		return
	}
	stored, err := a.files.List(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	found := page{Items: []fileclient.File{}}
	for _, file := range stored.Files {
		if !keep(file) {
			continue
		}
		if found.Total >= offset && len(found.Items) < limit {
			found.Items = append(found.Items, file)
		}
		found.Total++
		found.Bytes += file.Size
	}
	writeJSON(w, found)
}

type parameterError struct {
	name            string
	lowest, highest int
}

func (e parameterError) Error() string {
	return e.name + " must be a whole number from " + strconv.Itoa(e.lowest) + " to " + strconv.Itoa(e.highest) + "."
}

func number(query url.Values, name string, fallback, lowest, highest int) (int, error) {
	if !query.Has(name) {
		return fallback, nil
	}
	value, err := strconv.Atoi(query.Get(name))
	if err != nil || value < lowest || value > highest {
		return 0, parameterError{name, lowest, highest}
	}
	return value, nil
}

// statistics is what is stored, by type.
type statistics struct {
	Count int         `json:"count"`
	Bytes int64       `json:"bytes"`
	Types []typeCount `json:"types"`
}

type typeCount struct {
	Type  string `json:"type"`
	Count int    `json:"count"`
	Bytes int64  `json:"bytes"`
}

func (a *api) stats(w http.ResponseWriter, r *http.Request) {
	stored, err := a.files.List(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	writeJSON(w, count(stored.Files))
}

// count adds files up by type, without its parameters; most bytes first.
func count(files []fileclient.File) statistics {
	all := statistics{Types: []typeCount{}}
	places := map[string]int{}
	for _, file := range files {
		name := baseType(file.Type)
		place, known := places[name]
		if !known {
			place = len(all.Types)
			places[name] = place
			all.Types = append(all.Types, typeCount{Type: name})
		}
		all.Types[place].Count++
		all.Types[place].Bytes += file.Size
		all.Count++
		all.Bytes += file.Size
	}
	slices.SortFunc(all.Types, func(a, b typeCount) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type, b.Type))
	})
	return all
}
