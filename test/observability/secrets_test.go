package observability

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// secrets are nowhere but in Secrets and in the pods' own copies of them.
func (w *watched) secrets(t *testing.T) {
	credentials := map[string]string{
		"Slack's webhook": webhookToken, "PagerDuty's routing key": routingKey, "the mail server's password": mailPassword,
		"Grafana's password of admin": w.adminPassword(t), "Grafana's password of ann": passwordOfAnn, "Grafana's password of bob": passwordOfBob,
	}
	looked, copies := 0, 0
	look := func(where string, text []byte) {
		looked++
		for what, secret := range credentials {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s has %s", where, what)
			}
		}
	}
	for _, kind := range []string{"container", "pod", "volume", "network"} {
		list := []string{kind, "ls", "--quiet"}
		if kind == "container" {
			list = []string{"ps", "--all", "--quiet"}
		}
		for _, id := range strings.Fields(w.podman(t, list...)) {
			look(kind+" "+id, []byte(w.podman(t, kind, "inspect", id)))
			if kind == "volume" {
				folder := w.podman(t, "volume", "inspect", "--format", "{{.Mountpoint}}", id)
				if _, use, _ := strings.Cut(id, "."); strings.HasPrefix(use, "secret-") {
					copies += copiesIn(t, folder, credentials)
					continue
				}
				lookInto(t, folder, look)
			}
		}
	}
	for _, kind := range strings.Fields(w.kubectl(t, "api-resources", "--verbs=list", "--output=name")) {
		if kind != "secrets" {
			look(kind, []byte(w.kubectl(t, "get", kind, "--all-namespaces", "--output=yaml")))
		}
	}
	before := looked
	lookInto(t, filepath.Join(w.Dir, "state", "logs"), look)
	lookInto(t, filepath.Join(w.podman(t, "info", "--format", "{{.Store.GraphRoot}}"), "mockup-pod-logs"), look)
	if logs := looked - before; logs < 10 { // of the operator, the control plane, and whoever of the containers has said something
		t.Errorf("there are %d logs", logs)
	}
	arguments, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, file := range arguments {
		line, _ := os.ReadFile(file) // processes come and go
		if !slices.Contains(strings.Split(string(line), "\x00"), "-test.testlogfile") {
			look(file, line)
		}
	}
	// Else the scan would find nothing because it does not look, or not for what is there.
	if copies != 4 || looked < 200 {
		t.Errorf("%d places were looked at, and %d credentials are in copies of Secrets, want 4", looked, copies)
	}
	t.Logf("%d places have no credential", looked)
}

// lookInto every file of a folder.
func lookInto(t *testing.T, folder string, look func(where string, text []byte)) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // files come and go
		}
		if text, err := os.ReadFile(path); err == nil {
			look(path, text)
		}
		return nil
	})
	must(t, err)
}

// copiesIn counts the credentials that the files of a folder are.
func copiesIn(t *testing.T, folder string, credentials map[string]string) int {
	t.Helper()
	n := 0
	for _, secret := range credentials {
		found := false
		lookInto(t, folder, func(_ string, text []byte) { found = found || bytes.Contains(text, []byte(secret)) })
		if found {
			n++
		}
	}
	return n
}
