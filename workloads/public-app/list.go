package main

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mockup.dev/mockup/workloads/internal/fileclient"
)

// pageSize is the number of files on one page of the list.
const pageSize = 100

// listView is what the list shows.
type listView struct {
	Files   []fileclient.File
	Found   int   // files that match, on all pages
	Total   int   // files stored
	Bytes   int64 // of all files stored
	Limit   int64 // bytes of the biggest file taken
	Query   string
	Page    int
	Pages   int
	Stored  []string // names stored by the upload that led here
	Failure *visitorError
}

// page is the whole page; it is shown, with an explanation in place of the
// list, when mime-server is away too.
func (s *site) page(w http.ResponseWriter, r *http.Request) {
	s.renderList(w, r, "page.html")
}

// list is the part of the page that a script exchanges after an upload.
func (s *site) list(w http.ResponseWriter, r *http.Request) {
	s.renderList(w, r, "list.html")
}

func (s *site) renderList(w http.ResponseWriter, r *http.Request, template string) {
	status := http.StatusOK
	view := listView{Query: strings.TrimSpace(r.FormValue("q")), Stored: r.Form["stored"], Limit: s.limit.Load()}
	stored, err := s.files.List(r.Context())
	if err != nil {
		s.log.ErrorContext(r.Context(), "listing files failed", "error", err.Error())
		failure := s.explain(err)
		view.Failure, status = &failure, failure.Status
		w.Header().Set("Retry-After", "5") // seconds
	} else {
		s.limit.Store(stored.MaxUploadBytes)
		wanted, _ := strconv.Atoi(r.FormValue("page"))
		view.fill(stored, wanted)
	}
	w.Header().Set("Cache-Control", "no-store")
	s.render(w, r, status, template, view)
}

// fill picks the wanted page of the files that match, newest first.
func (v *listView) fill(stored fileclient.Listing, wanted int) {
	v.Total, v.Bytes, v.Limit = len(stored.Files), stored.Bytes, stored.MaxUploadBytes
	files := stored.Files
	if v.Query != "" {
		query := strings.ToLower(v.Query)
		files = slices.DeleteFunc(files, func(f fileclient.File) bool {
			return !strings.Contains(strings.ToLower(f.Name), query)
		})
	}
	slices.SortStableFunc(files, func(a, b fileclient.File) int { return b.Modified.Compare(a.Modified) })
	v.Found = len(files)
	v.Pages = max(1, (v.Found+pageSize-1)/pageSize)
	v.Page = min(max(1, wanted), v.Pages)
	first := (v.Page - 1) * pageSize
	v.Files = files[first:min(first+pageSize, v.Found)]
}

// Link is the query of another page of the same list.
func (v listView) Link(page int) string {
	query := url.Values{"page": {strconv.Itoa(page)}}
	if v.Query != "" {
		query.Set("q", v.Query)
	}
	return "?" + query.Encode()
}

// Previous and Next are page numbers, 0 if there is no such page.
func (v listView) Previous() int { return v.Page - 1 }

// Next is the number of the page after this one, or 0.
func (v listView) Next() int {
	if v.Page >= v.Pages {
		return 0
	}
	return v.Page + 1
}
