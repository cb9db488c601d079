// Package boot has systemd keep the platform, on a machine whose first process is a real systemd (hack/sandbox-systemd), in
// a sandbox: hack/sandbox go test ./test/boot. It needs bin/mockup and the images (make build images). That machine has
// cgroup version 1 where the host of the sandbox has.
package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mockup.dev/mockup/internal/systemd"
)

// patience bounds whatever should come about by itself; it is generous, since machines may be loaded.
const patience = 60 * time.Second

var root, state string // folders: of the repository, and of the platform

// TestMain starts this very program again on a machine with systemd. The sandbox's own Podman service ends, so that Podman
// is systemd's affair.
func TestMain(m *testing.M) {
	if systemd.Running() {
		os.Exit(m.Run())
	}
	if err := endPodman(); err != nil {
		fmt.Fprintln(os.Stderr, "ending the sandbox's Podman service: run this by hack/sandbox:", err)
		os.Exit(1)
	}
	cmd := exec.Command("../../hack/sandbox-systemd", os.Args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

func endPodman() error {
	content, err := os.ReadFile("/run/podman/podman.pid")
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	return os.Remove("/run/podman/podman.sock")
}

// machine puts the configuration of the sandbox's Podman into its command, for units have no environment but their own.
func machine(t *testing.T) {
	t.Helper()
	var err error
	if root, err = filepath.Abs("../.."); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program()); err != nil {
		t.Fatal("run `make build images` first: ", err)
	}
	podman, err := exec.LookPath("podman")
	if err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n"
	for _, name := range []string{"CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE", "CONTAINERS_STORAGE_CONF"} {
		script += "export " + name + "='" + os.Getenv(name) + "'\n"
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "podman"), []byte(script+"exec '"+podman+"' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	state = filepath.Join(dir, "state")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("MOCKUP_STATE_DIR", state)
	t.Setenv("CONTAINER_HOST", "") // so that it comes back
	if err := os.Unsetenv("CONTAINER_HOST"); err != nil {
		t.Fatal(err)
	}
}

func TestBoot(t *testing.T) {
	machine(t)
	units := []string{"mockup-podman", "mockup-controlplane", "mockup-operator"}

	mockup(t, "install", "--now")
	t.Cleanup(func() { mockup(t, "down", "--purge", "--yes") })
	for _, u := range units {
		if got := must(t, "systemctl", "is-enabled", u); got != "enabled" {
			t.Errorf("%s is %s", u, got)
		}
	}
	active(t, "active", units...)
	if out := mockup(t, "install"); !strings.Contains(out, "4 units") {
		t.Errorf("a second install says: %s", out)
	}

	mockup(t, "up", "-f", "config/samples/mockup.yaml", "--image-map", "bin/images.yaml")
	active(t, "active", "mockup-node") // names are served by a unit of their own
	t.Run("up leaves alone what systemd keeps", func(t *testing.T) {
		before := pids(t, units...)
		if out := mockup(t, "up"); !strings.Contains(out, "operator already running") {
			t.Errorf("it says: %s", out)
		}
		if after := pids(t, units...); after != before {
			t.Errorf("pids were %s and are %s", before, after)
		}
	})
	t.Run("what is killed is started again, and known", killed(append(units, "mockup-node")))
	t.Run("the node agent outlives the operator", func(t *testing.T) {
		before := pids(t, "mockup-node")
		must(t, "systemctl", "restart", "mockup-operator")
		if after := pids(t, "mockup-node"); after != before || after == "0" {
			t.Errorf("the agent was process %s and is %s", before, after)
		}
	})
	t.Run("all comes back at boot", boot(units))
	t.Run("another image map has the operator started again", func(t *testing.T) {
		before := pids(t, "mockup-operator")
		other := filepath.Join(t.TempDir(), "images.yaml")
		text := must(t, "cat", filepath.Join(root, "bin/images.yaml")) + "\ndocker.io/x/y:1: localhost/x/y:1\n"
		if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		mockup(t, "up", "--image-map", other)
		if after := pids(t, "mockup-operator"); after == before {
			t.Errorf("the operator is still process %s", before)
		}
		active(t, "active", units...)
	})
	t.Run("down stops them, up starts them", func(t *testing.T) {
		mockup(t, "down")
		active(t, "inactive", append(units, "mockup-node")...)
		mockup(t, "up")
		active(t, "active", units...)
	})
	t.Run("uninstall takes it back", func(t *testing.T) {
		mockup(t, "uninstall")
		if left, _ := filepath.Glob("/etc/systemd/system/*/mockup*"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		mockup(t, "up")
		if out := must(t, "systemctl", "list-units", "--all", "--plain", "--no-legend", "mockup-operator*"); out != "" {
			t.Errorf("up used units after uninstall: %s", out)
		}
	})
}

// boot takes away what a reboot does, and has systemd start what it starts at boot.
func boot(units []string) func(*testing.T) {
	return func(t *testing.T) {
		const file = "https://localhost:8443/files/go.mod"
		must(t, "curl", "--fail", "--silent", "--insecure", "--upload-file", "go.mod", file)
		must(t, "systemctl", append([]string{"stop", "mockup-node"}, units...)...)
		must(t, "podman", "stop", "--all", "--time", "0")
		must(t, "systemctl", "start", "multi-user.target") // is there already, but starts what it wants
		active(t, "active", append(units, "mockup-node")...)
		if out := mockup(t, "up"); !strings.Contains(out, "operator already running") || !strings.Contains(out, "4/4") {
			t.Errorf("up says: %s", out)
		}
		// The operator has yet to notice that pods were away.
		out := must(t, "curl", "--fail", "--silent", "--insecure", "--retry", "30", "--retry-delay", "1", "--retry-all-errors", file)
		if !strings.HasPrefix(out, "module mockup.dev/mockup") {
			t.Errorf("the file that was kept is %q", out)
		}
	}
}

func killed(units []string) func(*testing.T) {
	return func(t *testing.T) {
		before := pids(t, units...)
		for p := range strings.FieldsSeq(before) {
			pid, err := strconv.Atoi(p)
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			gone(t, pid)
		}
		active(t, "active", units...)
		if out := mockup(t, "up"); !strings.Contains(out, "operator already running") || !strings.Contains(out, "control plane already running") {
			t.Errorf("up does not know what systemd started: %s", out)
		}
	}
}

// gone waits until systemd has taken note of a process's end: before that, its unit passes for active.
func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(patience); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d was killed and is still there after %s", pid, patience)
		}
	}
}

// active waits until the units are in a state, and all of those that are active have a process that runs.
func active(t *testing.T, want string, units ...string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		got = ""
		for _, u := range units {
			out, _ := exec.Command("systemctl", "show", "--value", "-p", "ActiveState", u).Output()
			if s := strings.TrimSpace(string(out)); s != want {
				got += u + " is " + s + "\n"
			}
		}
		if got == "" {
			return
		}
	}
	out, _ := exec.Command("sh", "-c", "tail -n 5 "+state+"/logs/*; systemctl --no-pager status 'mockup-*'").CombinedOutput()
	t.Fatalf("after %s not %s: %s\n%s", patience, want, got, out)
}

// pids of the units' processes.
func pids(t *testing.T, units ...string) string {
	t.Helper()
	return strings.Join(strings.Fields(must(t, "systemctl", append([]string{"show", "--value", "-p", "MainPID"}, units...)...)), " ")
}

func mockup(t *testing.T, args ...string) string {
	t.Helper()
	return must(t, program(), args...)
}

// must run a command in the root of the repository; it returns all that it prints.
func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second) // t's own is over when it cleans up
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out.String())
	}
	return strings.TrimSpace(out.String())
}

func program() string { return filepath.Join(root, "bin/mockup") }
