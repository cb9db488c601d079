package observability

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// agent dies while lines are written; all of them arrive, each once.
func (w *watched) agent(t *testing.T) {
	const container = "default-mockup-promtail-0.promtail"
	before := w.identity(t, container)
	sent, meanwhile := 0, 0
	write := func() {
		must(t, w.ask(t.Context(), http.MethodGet, fmt.Sprintf("agent-test/%d/", sent), nil))
		sent++
	}
	for sent < 20 {
		write()
	}
	w.podman(t, "kill", "--signal", "KILL", container)
	for deadline := time.Now().Add(patience); ; {
		write()
		if w.identity(t, container) != before {
			break
		}
		if meanwhile++; time.Now().After(deadline) {
			t.Fatal("the log agent is not started again")
		}
	}
	for last := sent + 20; sent < last; {
		write()
	}
	if meanwhile == 0 {
		t.Error("nothing was written while the agent was down")
	}
	t.Logf("%d lines were written, %d of them while the agent was down", sent, meanwhile)
	eventually(t, "every line to arrive once", patience, func() error {
		found, err := agentLines()
		if err == nil && len(found) != sent {
			err = fmt.Errorf("%d of %d lines", len(found), sent)
		}
		return err
	})
	found, err := agentLines()
	must(t, err)
	for path, n := range found {
		if n != 1 {
			t.Errorf("the line of %s is there %v times", path, n)
		}
	}
}

// agentLines are how often each line is there, by the request's path.
func agentLines() (map[string]float64, error) {
	return numbers(`sum by (path) (count_over_time({service="gateway"} |= "/agent-test/" | json [1h]))`, "path")
}
