// Package images starts every image of the catalogue, or what stands in for it here, on the Podman of a sandbox:
// hack/sandbox go test ./test/images. It needs the images (hack/images).
package images

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mockup.dev/mockup/internal/imagemap"
	"mockup.dev/mockup/manifests"
)

// patience bounds a call of Podman; machines may be loaded.
const patience = 2 * time.Minute

// program is asked for its version with -v in images that start a script.
var program = map[string]string{"nginx": "nginx", "grafana": "/usr/share/grafana/bin/grafana"}

// mayDiffer are the images whose stand-in may hold another version than the catalogue names, as hack/images says.
var mayDiffer = map[string]bool{"nginx": true, "grafana": true}

const authorities = "/etc/ssl/certs/ca-certificates.crt"

// need are files that an image must have: without authorities no receiver of alerts is reached, and without time zones a
// program knows UTC only. The content tells such a file from another.
var need = map[string]map[string]string{
	"alertmanager": {authorities: "BEGIN CERTIFICATE", "/usr/share/zoneinfo/Europe/Rome": "TZif"},
	"grafana":      {authorities: "BEGIN CERTIFICATE"},
	"prometheus":   {authorities: "BEGIN CERTIFICATE"},
	"promtail":     {authorities: "BEGIN CERTIFICATE", "/usr/share/zoneinfo/Europe/Rome": "TZif"},
}

func TestCatalogue(t *testing.T) {
	if _, err := os.Stat("/run/sandbox"); err != nil {
		t.Fatal("these tests belong into a sandbox: run hack/sandbox go test ./test/images")
	}
	standIns, err := imagemap.Load(filepath.Join("..", "..", "bin", "images.yaml"))
	if err != nil {
		t.Fatal("run hack/images first: ", err)
	}
	for name, reference := range manifests.Catalogue() {
		image := reference
		if other := standIns[reference]; other != "" {
			image = other
		}
		t.Run(name+" says its version", func(t *testing.T) { saysVersion(t, name, reference, image) })
		if files := need[name]; files != nil {
			t.Run(name+" has the files it needs", func(t *testing.T) { hasFiles(t, image, files) })
		}
	}
}

func saysVersion(t *testing.T, name, reference, image string) {
	args := []string{image, "--version"}
	if p := program[name]; p != "" {
		args = []string{"--entrypoint=" + p, image, "-v"}
	}
	tag := reference[strings.LastIndex(reference, ":")+1:]
	said := podman(t, append([]string{"run", "--rm", "--pull=never", "--network=none", "--read-only"}, args...)...)
	if !strings.Contains(said, strings.TrimPrefix(tag, "v")) && !mayDiffer[name] {
		t.Errorf("%s says %q", image, said)
	}
}

// hasFiles copies them out of a container that never starts, for there is no program in the image that could.
func hasFiles(t *testing.T, image string, files map[string]string) {
	container := strings.TrimSpace(podman(t, "create", "--pull=never", image))
	t.Cleanup(func() { podman(t, "rm", container) })
	for file, content := range files {
		copied := filepath.Join(t.TempDir(), filepath.Base(file))
		podman(t, "cp", container+":"+file, copied)
		if text, err := os.ReadFile(copied); err != nil || !strings.Contains(string(text), content) {
			t.Errorf("%s of %s has no %q (%v)", file, image, content, err)
		}
	}
}

// podman returns what a command of Podman printed.
func podman(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	said, err := exec.CommandContext(ctx, "podman", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("podman %s: %v: %s", strings.Join(args, " "), err, said)
	}
	return string(said)
}
