package manifests

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// TestDashboardsGolden keeps the dashboards as people read them: in a ConfigMap they are one line.
func TestDashboardsGolden(t *testing.T) {
	known := map[string]bool{}
	for _, b := range boards() {
		text, err := b.json()
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Indent(&want, text, "", "  "); err != nil {
			t.Fatal(err)
		}
		want.WriteByte('\n')
		file := filepath.Join("testdata/dashboards", b.uid+".json")
		known[file] = true
		if *update {
			if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is not what is rendered (%v); go test ./manifests -update writes it", file, err)
		}
		if len(text) > 256<<10 {
			t.Errorf("%s has %d bytes; a ConfigMap holds 1 MiB", b.uid, len(text))
		}
	}
	files, _ := filepath.Glob("testdata/dashboards/*.json")
	for _, f := range files {
		if !known[f] {
			t.Errorf("%s is of no dashboard", f)
		}
	}
}

// variablesOf Grafana, as it would fill them in.
var variablesOf = strings.NewReplacer("$__rate_interval", "1m", "$__auto", "1m", "$stack", "mockup", "$service", "gateway")

// TestDashboardsAsk finds that Prometheus and Loki understand every query, and that what a panel is drawn for has a name.
func TestDashboardsAsk(t *testing.T) {
	logcli := tool(t, "logcli")
	uids := map[string]bool{}
	for _, b := range boards() {
		if uids[b.uid] || !strings.HasPrefix(b.uid, "mockup-") || len(b.panels) == 0 || len(b.needs) == 0 || b.about == "" {
			t.Errorf("dashboard %s is there twice, empty, or says nothing of itself", b.uid)
		}
		uids[b.uid] = true
		for _, p := range b.panels {
			for _, q := range p.queries {
				expr := variablesOf.Replace(q.expr)
				switch p.source {
				case sourceLoki:
					cmd := exec.Command(logcli, "fmt")
					cmd.Stdin = strings.NewReader(expr)
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%s, %s: %s: %v: %s", b.title, p.title, expr, err, out)
					}
				case sourceJaeger:
				default:
					if _, err := parser.ParseExpr(expr); err != nil {
						t.Errorf("%s, %s: %s: %v", b.title, p.title, expr, err)
					}
				}
				if q.legend == "" && (p.kind == kindGraph || p.kind == kindStat) {
					t.Errorf("%s, %s: a line without a legend", b.title, p.title)
				}
			}
		}
	}
	for _, rule := range rulesOf(t, "mission") {
		uid, _, _ := strings.Cut(strings.TrimPrefix(rule.Annotations["dashboard"], "http://localhost:3000/d/"), "?")
		if rule.Alert != "" && !uids[uid] {
			t.Errorf("%s leads to dashboard %q, which is not there", rule.Alert, uid)
		}
	}
}

// TestDashboardsOfWhatIsThere leaves out those that would ask a component that is switched off.
func TestDashboardsOfWhatIsThere(t *testing.T) {
	c := readCase(t, "testdata/observability/mission.in.yaml")
	names := func() (out []string) {
		r := newAddonRenderer(c.addon, c.addonFacts())
		folders, err := r.dashboards()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range folders {
			out = append(out, f.use)
		}
		return out
	}
	if all := names(); len(all) != 8 {
		t.Errorf("dashboards %v, want 8", all)
	}
	c.addon.Spec.Logs.Enabled, c.addon.Spec.Tracing.Enabled = ptr(false), ptr(false)
	c.addon.Spec.Objectives = nil
	if some := names(); slices.Contains(some, "board-logs") || slices.Contains(some, "board-traces") || !slices.Contains(some, "board-services") {
		t.Errorf("dashboards %v without logs and traces", some)
	}
}
