package main

import (
	"os"
	"strings"
	"testing"

	"mockup.dev/mockup/internal/systemd"
)

func TestInstallWithoutSystemd(t *testing.T) {
	if systemd.Running() {
		t.Skip("this machine runs systemd: test/boot installs there")
	}
	init, err := os.ReadFile("/proc/1/comm")
	if err != nil {
		t.Fatal(err)
	}
	code, _, errOut := call(t, "", "install")
	if want := "does not run systemd (pid 1 is " + strings.TrimSpace(string(init)) + ")"; code != exitFailed || !strings.Contains(errOut, want) {
		t.Errorf("exit code %d, said %q, want %q in it", code, errOut, want)
	}
}

func TestInstallDryRun(t *testing.T) {
	t.Setenv("CONTAINER_HOST", "unix:///run/elsewhere.sock")
	t.Setenv("XDG_CONFIG_HOME", "/home/ada/.config")
	code, out, errOut := call(t, "", "install", "--dry-run")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	for _, want := range []string{"/mockup-controlplane.service\n", "/mockup-operator.service\n", "/mockup-node.service\n", "unix:///run/elsewhere.sock", "--background"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "mockup-podman.service") {
		t.Error("there is a unit for Podman's service, although the user named a socket of somebody else's")
	}
}

func TestInstallScopes(t *testing.T) {
	other := "--system"
	if os.Geteuid() == 0 {
		other = "--user"
	}
	for _, args := range [][]string{{"install", other}, {"uninstall", other}, {"install", "--user", "--system"}} {
		if code, _, errOut := call(t, "", args...); code != exitUsage {
			t.Errorf("%v: exit code %d, said %q", args, code, errOut)
		}
	}
}

func TestUninstallNothing(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	if os.Geteuid() == 0 && len(systemd.Manager{Dir: "/etc/systemd/system"}.Installed()) > 0 {
		t.Skip("mockup is installed on this machine")
	}
	if code, _, errOut := call(t, "", "uninstall"); code != exitOK || !strings.Contains(errOut, "nothing is installed") {
		t.Errorf("exit code %d, said %q", code, errOut)
	}
}
