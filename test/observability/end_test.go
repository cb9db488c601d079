package observability

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"mockup.dev/mockup/api/v1alpha1"
)

// stackDeleted takes the stack away from under its addon, which says so, stops, and keeps its data: when the stack is back,
// each program answers as before.
func (w *watched) stackDeleted(t *testing.T) {
	volumes := func() (kept []string) {
		for _, name := range strings.Fields(w.podman(t, "volume", "ls", "--quiet")) {
			if !strings.Contains(name, ".") { // others are a pod's own
				kept = append(kept, name)
			}
		}
		slices.Sort(kept)
		return kept
	}
	before := volumes()
	if len(before) < 7 {
		t.Fatalf("there are volumes %v", before)
	}
	at := time.Now()
	data := w.data(t, at)
	gone, err := w.Delete(t.Context())
	must(t, err)
	eventually(t, "the addon to say so, and its pods to go", patience, func() error {
		c := meta.FindStatusCondition(w.addon(t).Status.Conditions, v1alpha1.ConditionStalled)
		if c.Status != "True" || c.Reason != v1alpha1.ReasonStackNotFound {
			return fmt.Errorf("it says %+v", c)
		}
		if pods := w.podman(t, "pod", "ls", "--quiet"); pods != "" {
			return fmt.Errorf("there are pods %s", strings.Fields(pods))
		}
		return nil
	})
	if after := volumes(); !slices.Equal(before, after) {
		t.Errorf("volumes were %v and are %v", before, after)
	}
	back, err := w.ApplyUntilReady(t.Context())
	must(t, err)
	t.Logf("the stack was gone after %s, and ready again after %s", gone.Round(time.Second), back.Round(time.Second))
	eventually(t, "the addon to be ready again", patience, func() error { return w.ready(t) })
	// The log agent may read again what there is; Loki finds that it has it when it has put it away.
	eventually(t, "everything to be as it was", patience, func() error {
		if now := w.data(t, at); now != data {
			return fmt.Errorf("what is kept was\n%s\nand is\n%s", data, now)
		}
		return nil
	})
}

// data that each program keeps, as it was at a time, as far as it tells whether all of it is there.
func (w *watched) data(t *testing.T, at time.Time) string {
	t.Helper()
	var out strings.Builder
	keep := func(what string, value any) {
		if text := fmt.Sprint(value); text == "" || text == "0" || text == "[]" || text == "map[]" {
			t.Errorf("%s: there is nothing", what)
		}
		fmt.Fprintf(&out, "%s: %v\n", what, value)
	}
	instant := strconv.FormatInt(at.Unix(), 10)
	var metrics, counts struct{ Data struct{ Result any } }
	must(t, get(prometheus+"/api/v1/query", url.Values{"query": {`sum by (code) (last_over_time(http_requests_total{service="gateway"}[1h]))`}, "time": {instant}}, &metrics))
	keep("requests", metrics.Data.Result)
	must(t, get(loki+"/loki/api/v1/query", url.Values{"query": {`sum by (service) (count_over_time({service=~"writer|mime-server"} | json | round!="" | __error__="" [1h]))`}, "time": {instant}}, &counts))
	keep("lines", counts.Data.Result)
	var traces struct{ Data []trace }
	must(t, get(jaeger+"/api/traces", url.Values{"service": {"sheep-by-" + string(v1alpha1.TraceOTLPHTTP)}, "lookback": {"2h"}}, &traces))
	keep("traces", traces.Data)
	var silences []struct{ ID, Comment string }
	must(t, get(alertmanager+"/api/v2/silences", nil, &silences))
	keep("silences", silences)
	roles, teams := w.roles(t)
	keep("people", fmt.Sprint(roles, teams))
	folder := w.podman(t, "volume", "inspect", "--format", "{{.Mountpoint}}", "default-mockup-mime-storage")
	content, err := os.ReadFile(filepath.Join(folder, "observed.txt"))
	must(t, err)
	keep("a file", string(content))
	return out.String()
}
