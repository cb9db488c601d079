package observability

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mockup.dev/mockup/test/stacktest"
)

// gate is the load test that fails if an objective of the addon is missed, which it names.
func (w *watched) gate(t *testing.T) {
	program := filepath.Join(t.TempDir(), "gate")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../load/gate").CombinedOutput(); err != nil {
		t.Fatalf("building the gate: %v\n%s", err, out)
	}
	kubeconfig, err := w.Mockup(t.Context(), "kubeconfig")
	must(t, err)
	ca, err := w.Mockup(t.Context(), "ca")
	must(t, err)
	authority := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(authority, []byte(ca), 0o600))
	try := func(path string) (int, string) {
		cmd := exec.CommandContext(t.Context(), program, "-kubeconfig", kubeconfig, "-ca", authority, "-rate", "10", "-for", "3s", stacktest.URL+path)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	eventually(t, "the site to be back", patience, func() error {
		resp, err := w.visitor.Get(stacktest.URL)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", resp.Status)
		}
		return nil
	})
	if code, said := try(""); code != 0 || !strings.Contains(said, "10 requests/s") {
		t.Errorf("it ends with %d although all is well:\n%s", code, said)
	}
	code, said := try("broken")
	for _, objective := range []string{"gateway-availability", "gateway-errors"} {
		if code != 1 || !strings.Contains(said, "objective "+objective+" is missed") {
			t.Errorf("it ends with %d and does not name %s:\n%s", code, objective, said)
		}
	}
	if strings.Contains(said, "gateway-latency") {
		t.Errorf("it names what was met:\n%s", said)
	}
}
