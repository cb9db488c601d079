package observability

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
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
			t.Errorf("the line of %s is there %d times", path, n)
		}
	}
}

// agentLines are how often each line is there, by the request's path.
func agentLines() (map[string]int, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	err := get(loki+"/loki/api/v1/query", url.Values{
		"query": {`sum by (path) (count_over_time({service="gateway"} |= "/agent-test/" | json [1h]))`},
	}, &answer)
	found := map[string]int{}
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		n, _ := strconv.Atoi(text)
		found[r.Metric["path"]] = n
	}
	return found, err
}
