package systemd

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mockup.dev/mockup/internal/processes"
)

// platforms are those that are rendered into testdata, by the name of the folder there.
func platforms() map[string]struct {
	Platform
	services []Service
} {
	type all = struct {
		Platform
		services []Service
	}
	system := Platform{
		Scope: System, StateDir: "/root/.local/state/mockup", Home: "/root", Path: "/usr/sbin:/usr/bin:/sbin:/bin",
		NodeDir: "/run/mockup/node", Program: "/usr/local/bin/mockup", PodmanPath: "/usr/bin/podman",
	}
	user := Platform{
		Scope: User, StateDir: "/home/ada/.local/state/mockup", Home: "/home/ada", Path: "/usr/sbin:/usr/bin:/sbin:/bin",
		NodeDir: "/run/user/1000/mockup/node", Program: "/home/ada/bin/mockup", PodmanPath: "/usr/bin/podman",
	}
	odd := user // a file name may hold almost everything
	odd.StateDir, odd.Program = "/home/ada/100% \"mine\"/$state", "/home/ada/my bin/mockup"
	return map[string]all{
		"system":     {system, servicesOf(system, false)},
		"user":       {user, servicesOf(user, false)},
		"own-podman": {system, servicesOf(system, true)},
		"odd-names":  {odd, servicesOf(odd, false)},
	}
}

func servicesOf(p Platform, ownPodman bool) []Service {
	service := func(name string, role Role, path string, grace time.Duration, args ...string) Service {
		pidFile := p.StateDir + "/run/" + name + ".pid"
		return Service{
			Process: processes.Process{Name: name, Path: path, Args: args, Grace: grace}, Mark: "MOCKUP_PROCESS=" + pidFile + ":0123456789abcdef",
			Role: role, PIDFile: pidFile, Log: p.StateDir + "/logs/" + name + ".log",
		}
	}
	all := []Service{
		service("controlplane", ControlPlane, p.Program, 25*time.Second, "controlplane", "--state-dir", p.StateDir, "--background"),
		service("operator", Operator, p.Program, 15*time.Second, "manager", "--state-dir", p.StateDir, "--background"),
	}
	if ownPodman {
		all = append([]Service{service("podman", Podman, p.PodmanPath, 10*time.Second, "--remote=false", "system", "service", "--time=0", "unix:///run/podman/podman.sock")}, all...)
	}
	return all
}

var update = flag.Bool("update", false, "write the golden files anew")

func TestGoldenUnits(t *testing.T) {
	for name, p := range platforms() {
		for _, u := range p.Units(p.services) {
			path := filepath.Join("testdata", name, u.Name)
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(u.Render()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if u.Render() != string(want) {
				t.Errorf("%s differs:\n%s", path, u.Render())
			}
		}
	}
}

// TestUnitsAreValid has systemd itself read the units. Programs and folders have to be there, so that they are given ones
// of this machine.
func TestUnitsAreValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is missing: install the package systemd (its binary runs without systemd being the first process)")
	}
	for name, p := range platforms() {
		t.Run(name, func(t *testing.T) {
			p.Program, p.PodmanPath, p.StateDir = program(t), program(t), t.TempDir()
			dir := t.TempDir()
			var files []string
			for _, u := range p.Units(servicesOf(p.Platform, name == "own-podman")) {
				path := filepath.Join(dir, u.Name)
				if err := os.WriteFile(path, []byte(u.Render()), 0o644); err != nil {
					t.Fatal(err)
				}
				files = append(files, path)
			}
			if said := verify(t, analyze, p.Scope, files); said != "" {
				t.Errorf("systemd-analyze says: %s", said)
			}
		})
	}
}

// TestVerifyFindsFaults shows that the check above can fail.
func TestVerifyFindsFaults(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is missing: install the package systemd")
	}
	p := platforms()["system"]
	p.Program = program(t)
	u := p.Units(servicesOf(p.Platform, false))[0]
	u.Settings = append(u.Settings, "Bogus=yes")
	path := filepath.Join(t.TempDir(), u.Name)
	if err := os.WriteFile(path, []byte(u.Render()), 0o644); err != nil {
		t.Fatal(err)
	}
	if said := verify(t, analyze, System, []string{path}); !strings.Contains(said, "Bogus") {
		t.Errorf("a wrong setting was not found: %q", said)
	}
}

// verify is what systemd-analyze says of the files, its exit code included. Faults in units of the machine are not ours.
func verify(t *testing.T, analyze string, scope Scope, files []string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), analyze, append([]string{"--" + string(scope), "--man=no", "--recursive-errors=no", "verify"}, files...)...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir(), "SYSTEMD_LOG_LEVEL=warning")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return err.Error() + "\n" + string(out)
	}
	return string(out)
}

func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
