package podmansocket

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// serve answers like Podman on a unix socket.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "podman.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return "unix://" + path
}

func TestFind(t *testing.T) {
	uri := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_ping" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.Header().Set("Libpod-API-Version", "5.4.2")
	})
	t.Setenv(Env, uri)
	if found, err := Find(t.Context(), ""); err != nil || found != uri {
		t.Errorf("found %s, %v", found, err)
	}
	if _, err := Find(t.Context(), "unix:///nonexistent.sock"); err == nil || !strings.Contains(err.Error(), "/nonexistent.sock") {
		t.Errorf("a named socket that does not answer: %v", err)
	}
	if _, err := Find(t.Context(), "ssh://host/run/podman.sock"); err == nil || !strings.Contains(err.Error(), "only unix://") {
		t.Errorf("ssh: %v", err)
	}
	client, err := New(uri)
	if err != nil {
		t.Fatal(err)
	}
	if version, err := client.Ping(t.Context()); version != "5.4.2" || err != nil {
		t.Errorf("version %q, %v", version, err)
	}
}

func TestCandidates(t *testing.T) {
	t.Setenv(Env, "")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/7")
	all := Candidates("")
	if all[len(all)-1] != "unix:///run/user/7/podman/podman.sock" {
		t.Errorf("got %v", all)
	}
	t.Setenv(Env, "unix:///a.sock")
	if all := Candidates(""); len(all) != 1 || all[0] != "unix:///a.sock" {
		t.Errorf("got %v", all)
	}
	if all := Candidates("unix:///b.sock"); len(all) != 1 || all[0] != "unix:///b.sock" {
		t.Errorf("got %v", all)
	}
}

func TestQueries(t *testing.T) {
	var asked []string
	client, err := New(serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.RequestURI())
		switch {
		case strings.HasSuffix(r.URL.Path, "/exists"), strings.HasSuffix(r.URL.Path, "/gone"):
			w.WriteHeader(http.StatusNotFound)
		case strings.HasSuffix(r.URL.Path, "/used"):
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"message": "volume used is being used"}`))
		default:
			_, _ = w.Write([]byte(`[{"Name": "v", "Labels": {"a": "b"}}]`))
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	volumes, err := client.Volumes(t.Context(), "a=b")
	if err != nil || len(volumes) != 1 || volumes[0].Labels["a"] != "b" {
		t.Errorf("volumes: %v, %v", volumes, err)
	}
	if there, err := client.ImageExists(t.Context(), "docker.io/x/y:1"); there || err != nil {
		t.Errorf("image: %t, %v", there, err)
	}
	if err := client.RemoveVolume(t.Context(), "gone"); err != nil {
		t.Errorf("a volume that is gone: %v", err)
	}
	if err := client.RemoveVolume(t.Context(), "used"); err == nil || !strings.Contains(err.Error(), "being used") {
		t.Errorf("a volume in use: %v", err)
	}
	want := []string{
		"GET /v4.0.0/libpod/volumes/json?filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D",
		"GET /v4.0.0/libpod/images/docker.io%2Fx%2Fy:1/exists",
		"DELETE /v4.0.0/libpod/volumes/gone", "DELETE /v4.0.0/libpod/volumes/used",
	}
	if strings.Join(asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked:\n%s\nwant:\n%s", strings.Join(asked, "\n"), strings.Join(want, "\n"))
	}
}
