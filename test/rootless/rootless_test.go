// Package rootless drives the product as a user without root, on that user's own Podman: hack/test rootless. It needs
// bin/mockup and the images (make build images).
package rootless

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mockup.dev/mockup/internal/host"
)

const (
	page = "https://localhost:8443"
	// patience bounds whatever should come about by itself; it is generous, since machines may be loaded.
	patience = 60 * time.Second
)

func TestMain(m *testing.M) {
	if os.Geteuid() == 0 || !strings.HasPrefix(os.Getenv("CONTAINER_HOST"), "unix:///run/user/") {
		fmt.Fprintln(os.Stderr, "run this as a user with a Podman of its own: hack/test rootless")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestRootless(t *testing.T) {
	mockup(t, "up", "-f", "config/samples/mockup.yaml", "--image-map", "bin/images.yaml", "--timeout", "80s")
	t.Cleanup(func() { mockup(t, "down", "--purge", "--yes") })
	client := trusting(t)

	t.Run("the gateway serves what lies behind it, by name", func(t *testing.T) {
		if body := get(t, client, "/"); !strings.Contains(body, "<title>") {
			t.Errorf("the page is %q", body)
		}
		put(t, client, "/files/a.txt", "kept")
		if body := get(t, client, "/files/a.txt"); body != "kept" {
			t.Errorf("the file is %q", body)
		}
	})
	t.Run("a service of one network does not reach another network", func(t *testing.T) {
		for address, want := range map[string]bool{addressOf(t, "public"): true, addressOf(t, "private"): false} {
			if got := reach(t, "public-app", address+" 8000"); got != want {
				t.Errorf("public-app reaches %s: %t", address, got)
			}
		}
	})
	t.Run("logs and metrics are found as on a cluster", observed)
	t.Run("what this host does not enforce stands in status", refused)
	t.Run("names are served while the operator is away", func(t *testing.T) {
		before := must(t, "pgrep", "-f", "mockup node")
		must(t, "pkill", "-9", "-f", "mockup manager")
		put(t, client, "/files/b.txt", "kept")
		if after := must(t, "pgrep", "-f", "mockup node"); after != before {
			t.Errorf("the node agent was process %s and is %s", before, after)
		}
	})
	t.Run("a pod that is removed comes back", func(t *testing.T) {
		must(t, "podman", "pod", "rm", "--force", "--time", "0", "default-mockup-mime-server-0")
		eventually(t, "the file is served again", func() bool {
			response, err := client.Get(page + "/files/a.txt")
			if err != nil {
				return false
			}
			defer response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
	})
	t.Run("nothing runs after down", func(t *testing.T) {
		mockup(t, "down")
		for _, name := range []string{"mockup", "pasta", "rootlessport"} {
			eventually(t, "no "+name+" runs", func() bool { return exec.Command("pgrep", "-x", name).Run() != nil })
		}
	})
}

// refused compares with what the host is: on cgroup v1, or without delegation, no limit of memory is enforced.
func refused(t *testing.T) {
	lacks, limited := host.This().Lack(host.TopicMemoryLimits)
	status := mockup(t, "status", "-o", "json")
	if !json.Valid([]byte(status)) {
		t.Fatalf("status -o json prints %s", status)
	}
	if said := strings.Contains(status, "resources.limits.memory"); said != limited {
		t.Errorf("this host lacks limits of memory: %t (%s); status tells of it: %t", limited, lacks, said)
	}
}

// observed looks where a log agent and Prometheus look: files of Podman's user namespace are measured, and its logs are kept,
// by the node agent, which is in it.
func observed(t *testing.T) {
	logs := filepath.Join(must(t, "podman", "info", "--format", "{{.Store.GraphRoot}}"), "mockup-pod-logs", "default_default-mockup-*", "*", "[0-9]*.log")
	if found, _ := filepath.Glob(logs); len(found) != 4 {
		t.Errorf("%s leads to %v", logs, found)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "mockup", "node", "port-9405.sock"))
	}}}
	eventually(t, "volumes are measured", func() bool {
		response, err := client.Get("http://operator/metrics")
		return err == nil && strings.Contains(bodyOf(t, response), `kubelet_volume_stats_used_bytes{namespace="default",persistentvolumeclaim="mockup-mime-storage"}`)
	})
}

// addressOf mime-server on a network.
func addressOf(t *testing.T, network string) string {
	t.Helper()
	infra := must(t, "podman", "pod", "inspect", "default-mockup-mime-server-0", "--format", "{{.InfraContainerID}}")
	return must(t, "podman", "inspect", infra, "--format", `{{(index .NetworkSettings.Networks "default-mockup-`+network+`").IPAddress}}`)
}

// reach tells whether a service's pod opens a TCP connection to "ADDRESS PORT" within a second.
func reach(t *testing.T, service, address string) bool {
	t.Helper()
	infra := must(t, "podman", "pod", "inspect", "default-mockup-"+service+"-0", "--format", "{{.InfraContainerID}}")
	pid := must(t, "podman", "inspect", infra, "--format", "{{.State.Pid}}")
	script := "timeout 1 bash -c '</dev/tcp/" + strings.Replace(address, " ", "/", 1) + "'"
	return exec.Command("podman", "--remote=false", "unshare", "nsenter", "--target", pid, "--net", "bash", "-c", script).Run() == nil
}

// trusting is a client that trusts the stack's own authority alone.
func trusting(t *testing.T) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(mockup(t, "ca"))) {
		t.Fatal("mockup ca prints no certificate")
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
}

func get(t *testing.T, c *http.Client, path string) string {
	t.Helper()
	response, err := c.Get(page + path)
	if err != nil {
		t.Fatal(err)
	}
	return bodyOf(t, response)
}

func put(t *testing.T, c *http.Client, path, content string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, page+path, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	bodyOf(t, response)
}

func bodyOf(t *testing.T, response *http.Response) string {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s: %s, %v: %s", response.Request.URL, response.Status, err, body)
	}
	return string(body)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("after %s it does not hold that %s:\n%s", patience, what, must(t, "ps", "-e", "-o", "pid,args"))
}

func mockup(t *testing.T, args ...string) string {
	t.Helper()
	return must(t, filepath.Join(root(t), "bin", "mockup"), args...)
}

// root of the repository, in which hack/test calls the compiled test.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// must run a command; it returns what it prints.
func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // t's own is over when it cleans up
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out.String(), errOut.String())
	}
	return strings.TrimSpace(out.String())
}
