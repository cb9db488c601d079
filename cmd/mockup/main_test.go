package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// call runs the command line with a state folder of its own.
func call(t *testing.T, in string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	a := &app{in: strings.NewReader(in), out: &o, err: &e}
	code = run(t.Context(), append([]string{"mockup", "--state-dir", filepath.Join(t.TempDir(), "state")}, args...), a)
	return code, o.String(), e.String()
}

func TestEveryVerbExplainsItself(t *testing.T) {
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		if c.Name() != "help" {
			for what, text := range map[string]string{"Short": c.Short, "Long": c.Long, "Example": c.Example} {
				if text == "" {
					t.Errorf("%s has no %s", c.CommandPath(), what)
				}
			}
			if c.Runnable() && !strings.Contains(c.Long, "Exit codes: ") {
				t.Errorf("the help of %s does not tell its exit codes", c.CommandPath())
			}
			if c.Runnable() && !strings.Contains(c.Example, c.CommandPath()) {
				t.Errorf("the example of %s does not call it:\n%s", c.CommandPath(), c.Example)
			}
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	root := newRoot("mockup", &app{})
	check(root)
	for _, c := range root.Commands() {
		if code, out, errOut := call(t, "", c.Name(), "--help"); code != exitOK || !strings.Contains(out, c.Short) && !strings.Contains(out, "Usage:") {
			t.Errorf("%s --help: code %d, %s%s", c.Name(), code, out, errOut)
		}
	}
}

func TestKubectlPlugin(t *testing.T) {
	var out bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &out}
	if code := run(t.Context(), []string{"/usr/local/bin/kubectl-mockup", "up", "--help"}, a); code != exitOK {
		t.Fatalf("code %d", code)
	}
	if !strings.Contains(out.String(), "kubectl mockup up [-f FILE]") || !strings.Contains(out.String(), "  kubectl mockup up -f") || strings.Contains(out.String(), "\n  mockup up") {
		t.Errorf("the help does not show how the plugin is called:\n%s", out.String())
	}
}

const sample = "../../config/samples/mockup.yaml"

func TestJSON(t *testing.T) {
	for _, args := range [][]string{{"version", "-o", "json"}, {"render", "-f", sample, "-o", "json"}, {"doctor", "-f", sample, "-o", "json"}} {
		_, out, errOut := call(t, "", args...)
		var fields map[string]any
		if err := json.Unmarshal([]byte(out), &fields); err != nil || len(fields) == 0 {
			t.Errorf("%v printed no JSON object: %v\n%s%s", args, err, out, errOut)
		}
	}
}

func TestExitCodes(t *testing.T) {
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.Replace(string(text), "port: 5001", "port: 0", 1)
	for name, c := range map[string]struct {
		in   string
		args []string
		code int
		says string
	}{
		"no such verb":         {"", []string{"bogus"}, exitUsage, "unknown command"},
		"no such flag":         {"", []string{"version", "--bogus"}, exitUsage, "unknown flag"},
		"no such form":         {"", []string{"version", "-o", "xml"}, exitUsage, "must be one of text, json"},
		"flag missing":         {"", []string{"render"}, exitUsage, "filename"},
		"too many arguments":   {"", []string{"status", "a", "b"}, exitUsage, "accepts at most 1"},
		"file missing":         {"", []string{"render", "-f", "/nonexistent"}, exitUsage, "/nonexistent"},
		"not YAML":             {"a: b: c", []string{"render", "-f", "-"}, exitUsage, "document 1"},
		"no stack":             {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}", []string{"render", "-f", "-"}, exitUsage, "no MockupStack"},
		"bad field":            {bad, []string{"render", "-f", "-"}, exitUsage, "spec.services[2].port"},
		"rendered":             {string(text), []string{"render", "-f", "-"}, exitOK, "missing: Secret/mockup-gateway-tls"},
		"no control plane":     {"", []string{"status"}, exitUnreachable, "not running"},
		"no kubeconfig":        {"", []string{"kubeconfig"}, exitFailed, "mockup up"},
		"nothing to stop":      {"", []string{"down"}, exitOK, "nothing to stop"},
		"logs of two":          {"", []string{"logs", "a", "--operator"}, exitUsage, "name one component"},
		"no such backend":      {"", []string{"manager", "--backend", "docker"}, exitUsage, "--backend"},
		"completion of a toy":  {"", []string{"completion", "tcsh"}, exitUsage, "tcsh"},
		"completion of a bash": {"", []string{"completion", "bash"}, exitOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, errOut := call(t, c.in, c.args...)
			if code != c.code || !strings.Contains(errOut, c.says) {
				t.Errorf("exit code %d, want %d; said %q, want %q in it", code, c.code, errOut, c.says)
			}
		})
	}
}
