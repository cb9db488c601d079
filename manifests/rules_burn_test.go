package manifests

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// promtoolTest is a test of promtool, as far as it is used here.
type promtoolTest struct {
	Name     string          `json:"name"`
	Interval string          `json:"interval"`
	Series   []promtoolInput `json:"input_series"`
	Checks   []promtoolCheck `json:"promql_expr_test"`
}

type promtoolInput struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type promtoolCheck struct {
	At      string           `json:"eval_time"`
	Expr    string           `json:"expr"`
	Samples []promtoolSample `json:"exp_samples,omitempty"`
}

type promtoolSample struct {
	Labels string  `json:"labels"`
	Value  float64 `json:"value"`
}

// promtoolFile is written for rules that are evaluated as often as its series have samples.
func promtoolFile(t *testing.T, every time.Duration, tests []promtoolTest) string {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{"rule_files": []string{objectivesFile}, "evaluation_interval": every.String(), "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// burnCase is a pair of windows over which a budget burns factor times as fast as it may when the alert comes, as the SRE
// Workbook has it for 30 days, and as follows from the parts of the budget for others: 8 % of 7d within 1h are 13.44.
type burnCase struct {
	window, severity string
	long, short      time.Duration
	factor           float64
}

func burnCases() []burnCase {
	const h = time.Hour
	return []burnCase{
		{"30d", "critical", h, 5 * time.Minute, 14.4}, {"30d", "critical", 6 * h, 30 * time.Minute, 6},
		{"30d", "warning", 24 * h, 2 * h, 3}, {"30d", "warning", 72 * h, 6 * h, 1},
		{"28d", "critical", h, 5 * time.Minute, 13.44}, {"28d", "critical", 6 * h, 30 * time.Minute, 5.6},
		{"28d", "warning", 24 * h, 2 * h, 2.8}, {"28d", "warning", 72 * h, 6 * h, 0.933333},
		{"7d", "critical", h, 5 * time.Minute, 13.44}, {"7d", "critical", 6 * h, 30 * time.Minute, 3.5},
		{"7d", "warning", 24 * h, 2 * h, 1.4}, {"7d", "warning", 72 * h, 6 * h, 0.98},
	}
}

// missionBudgets are the parts of requests that may fail the objectives of the case "mission", by name.
var missionBudgets = map[string]float64{"gateway-availability": 0.0005, "gateway-errors": 0.0001, "gateway-latency": 0.05}

// phase of the gateway's requests: such a part of them, each step, fails, and takes longer than half a second.
type phase struct {
	steps  int
	failed float64
	busy   int // times as many requests
}

// gatewaySeries are those of requests and their durations. The counters have counted before.
func gatewaySeries(phases ...phase) []promtoolInput {
	const of, perStep = `service="gateway",stack="mockup",namespace="default"`, 100_000_000
	failed, all := 1e9, 1e13
	line := map[string]string{}
	for _, p := range phases {
		f, a := math.Round(p.failed*perStep)*float64(p.busy), float64(perStep*p.busy)
		line["failed"] += fmt.Sprintf("%.0f+%.0fx%d ", failed+f, f, p.steps-1)
		line["all"] += fmt.Sprintf("%.0f+%.0fx%d ", all+a, a, p.steps-1)
		line["good"] += fmt.Sprintf("%.0f+%.0fx%d ", all-failed+a-f, a-f, p.steps-1)
		failed, all = failed+f*float64(p.steps), all+a*float64(p.steps)
	}
	return []promtoolInput{
		{`http_requests_total{code="502",` + of + `}`, line["failed"]},
		{`http_requests_total{code="200",` + of + `}`, line["good"]},
		{`http_request_duration_seconds_count{` + of + `}`, line["all"]},
		{`http_request_duration_seconds_bucket{le="0.5",` + of + `}`, line["good"]},
		{`http_request_duration_seconds_bucket{le="+Inf",` + of + `}`, line["all"]},
	}
}

// silent and firing are what is expected of an alert at a step.
func silent(alert, severity, objective string, at time.Duration) promtoolCheck {
	return promtoolCheck{At: at.String(), Expr: fmt.Sprintf(`count(ALERTS{alertname=%q,severity=%q,objective=%q,alertstate="firing"})`, alert, severity, objective)}
}

func firing(alert, severity, objective string, at time.Duration) promtoolCheck {
	c := silent(alert, severity, objective, at)
	c.Samples = []promtoolSample{{"{}", 1}}
	return c
}

// burnTests are three for a pair of windows and an objective: a budget burns a little slower, or a little faster, for as long as the
// long window; and it burns faster until the short window has forgotten it. Before, there is so much that goes well that longer
// windows see nothing: the pair is alone.
func burnTests(c burnCase, objective string) (every time.Duration, tests []promtoolTest) {
	every = c.short / 5
	before, long := 10, int(c.long/every)
	limit := c.factor * missionBudgets[objective]
	at := func(step int) time.Duration { return time.Duration(step-1) * every }
	add := func(name string, times float64, checks ...promtoolCheck) {
		tests = append(tests, promtoolTest{
			Name: fmt.Sprintf("%s of %s over %s and %s: %s", objective, c.window, c.long, c.short, name), Interval: every.String(),
			Series: gatewaySeries(phase{before, 0, 1000}, phase{long, limit * times, 1}, phase{6, 0, 1}), Checks: checks,
		})
	}
	const name = "ErrorBudgetBurn"
	add("a little slower", 0.99, silent(name, c.severity, objective, at(before+long)))
	add("a little faster", 1.01, silent(name, c.severity, objective, at(before)), firing(name, c.severity, objective, at(before+long)))
	add("over", 1.35, silent(name, c.severity, objective, at(before)), firing(name, c.severity, objective, at(before+long+1)),
		silent(name, c.severity, objective, at(before+long+6)))
	return every, tests
}

// budgetTests find half of a budget used, and not.
func budgetTests(window, objective string) (every time.Duration, tests []promtoolTest) {
	for left, fires := range map[float64]bool{50.1: false, 49.9: true} {
		steady := phase{60, (100 - left) / 100 * missionBudgets[objective], 1}
		test := promtoolTest{
			Name: fmt.Sprintf("%.1f %% of the budget of %s are left for %s", left, objective, window), Interval: "1m", Series: gatewaySeries(steady),
			Checks: []promtoolCheck{silent("ErrorBudgetWarning", "warning", objective, 2*time.Minute), {
				At: "59m", Expr: fmt.Sprintf("round(sum(error_budget_remaining_percent{objective=%q}), 0.1)", objective), Samples: []promtoolSample{{"{}", left}},
			}},
		}
		if fires {
			test.Series = gatewaySeries(steady, phase{60, 0, 1})
			test.Checks = append(test.Checks, firing("ErrorBudgetWarning", "warning", objective, 59*time.Minute), silent("ErrorBudgetWarning", "warning", objective, 110*time.Minute))
		} else {
			test.Checks = append(test.Checks, silent("ErrorBudgetWarning", "warning", objective, 59*time.Minute))
		}
		tests = append(tests, test)
	}
	return time.Minute, tests
}

// rulesFor an objective of the case "mission", with another window, but for those that count violations: they take a second each.
func rulesFor(t *testing.T, objective, window string) string {
	t.Helper()
	c := readCase(t, "testdata/observability/mission.in.yaml")
	for i := range c.addon.Spec.Objectives {
		c.addon.Spec.Objectives[i].Window = window
	}
	groups, errs := rulefmt.Parse([]byte(filesOfCase(t, c, ComponentPrometheus)[objectivesFile]), false, model.UTF8Validation)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for i := range groups.Groups {
		g := &groups.Groups[i]
		g.Interval = 0
		g.Rules = slices.DeleteFunc(g.Rules, func(r rulefmt.Rule) bool {
			return r.Labels["objective"] != objective || r.Record == "sla_violations_total"
		})
	}
	text, err := yamlv3.Marshal(groups)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// burnRun are tests of an objective with a window, for rules that are evaluated every so often.
type burnRun struct {
	objective, window string
	every             time.Duration
}

func generatedTests() map[burnRun][]promtoolTest {
	all := map[burnRun][]promtoolTest{}
	for objective := range missionBudgets {
		for _, c := range burnCases() {
			every, tests := burnTests(c, objective)
			key := burnRun{objective, c.window, every}
			all[key] = append(all[key], tests...)
		}
		for _, window := range []string{"7d", "28d", "30d"} {
			every, tests := budgetTests(window, objective)
			key := burnRun{objective, window, every}
			all[key] = append(all[key], tests...)
		}
	}
	return all
}

// TestBudgets pins the limits of the alerts about error budgets, for each kind of objective and each window: just below and just above.
func TestBudgets(t *testing.T) {
	tests := 0
	for key, some := range generatedTests() {
		tests += len(some)
		t.Run(fmt.Sprintf("%s of %s every %s", key.objective, key.window, key.every), func(t *testing.T) {
			t.Parallel()
			files := map[string]string{objectivesFile: rulesFor(t, key.objective, key.window), "rules.test.yaml": promtoolFile(t, key.every, some)}
			run(t, written(t, files, prometheusConfigDir), tool(t, "promtool"), "test", "rules", "rules.test.yaml")
		})
	}
	if tests != 3*3*(4*3+2) {
		t.Errorf("%d tests", tests)
	}
}
