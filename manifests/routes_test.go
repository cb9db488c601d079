package manifests

import (
	"reflect"
	"testing"
)

// TestHostsGoFirst lists the paths of each host of the routes in testdata, and who answers them.
func TestHostsGoFirst(t *testing.T) {
	s := readCase(t, "testdata/routes.in.yaml").stack
	got := map[string]map[string]string{}
	for _, server := range nginxServers(s.Spec.Gateway.Routes, s.Spec.Services) {
		got[server.Host] = map[string]string{}
		for _, l := range server.Locations {
			got[server.Host][l.Path] = l.Service
		}
		if _, hasRoot := got[server.Host]["/"]; hasRoot == server.Unmatched {
			t.Errorf("%q has unmatched paths: %v", server.Host, server.Unmatched)
		}
	}
	want := map[string]map[string]string{
		"":                  {"/files/": "files", "/files/archive/": "archive", "/status": "web"},
		"*.example.com":     {"/files/": "archive", "/status": "web"},
		"api.example.com":   {"/v1/": "web", "/files/": "archive", "/status": "web"},
		"files.example.com": {"/": "files"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
