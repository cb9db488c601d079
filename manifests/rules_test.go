package manifests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"sigs.k8s.io/yaml"
)

// tool is a program of MOCKUP_TOOLS. Without it these tests mean nothing, so they fail.
func tool(t *testing.T, name string) string {
	t.Helper()
	folder := os.Getenv("MOCKUP_TOOLS")
	if folder == "" {
		t.Fatalf("MOCKUP_TOOLS is not set, which is where %s is; run: MOCKUP_TOOLS=$(hack/images --tools) go test ./manifests", name)
	}
	return filepath.Join(folder, name)
}

// filesOf a component, by ConfigMap key, as rendered for a case of testdata/observability.
func filesOf(t *testing.T, name, component string) map[string]string {
	t.Helper()
	return filesOfCase(t, readCase(t, "testdata/observability/"+name+".in.yaml"), component)
}

func filesOfCase(t *testing.T, c testCase, component string) map[string]string {
	t.Helper()
	set, _ := render(t, c)
	files := map[string]string{}
	for _, o := range set.Objects {
		if RefOf(o).Kind == "ConfigMap" && o.GetLabels()[LabelComponent] == component {
			for key, text := range configData(o) {
				files[key] = text
			}
		}
	}
	return files
}

// written puts the files of a component into a new folder, in which they find each other.
func written(t *testing.T, files map[string]string, folder string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		text = strings.ReplaceAll(text, folder+"/", dir+"/")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestPromtoolTakesTheConfiguration asks the program itself, which also looks for rules that are there twice.
func TestPromtoolTakesTheConfiguration(t *testing.T) {
	for _, c := range addonCases(t) {
		dir := written(t, filesOf(t, c.name, ComponentPrometheus), prometheusConfigDir)
		if out := run(t, dir, tool(t, "promtool"), "check", "config", prometheusConfigFile); strings.Contains(out, "FAILED") {
			t.Errorf("%s: %s", c.name, out)
		}
	}
}

// TestOtelcolTakesTheConfiguration asks the collector itself about each configuration that is rendered for it.
func TestOtelcolTakesTheConfiguration(t *testing.T) {
	asked := 0
	for _, c := range addonCases(t) {
		files := filesOf(t, c.name, ComponentCollector)
		if len(files) == 0 {
			continue // Promtail reads its logs
		}
		asked++
		dir := written(t, files, collectorConfigDir)
		file := filepath.Join(dir, collectorConfigFile)
		text := strings.ReplaceAll(files[collectorConfigFile], collectorDataDir, dir) // it looks for the folder
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		run(t, dir, tool(t, "otelcol-contrib"), "validate", "--config="+file)
	}
	if asked == 0 {
		t.Error("no case has a collector")
	}
}

// ruleTests are the files of promtool's unit tests.
func ruleTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/rules/*.test.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files of rule tests (%v), want at least 4", len(files), err)
	}
	return files
}

// TestRules runs the unit tests of alerts and of figures on the rules of the reference stack, or of the case that the file is called
// like.
func TestRules(t *testing.T) {
	for _, file := range ruleTests(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rules := strings.TrimSuffix(filepath.Base(file), ".test.yaml")
			if _, err := os.Stat("testdata/observability/" + rules + ".in.yaml"); err != nil {
				rules = "mission"
			}
			files := filesOf(t, rules, ComponentPrometheus)
			files["rules.test.yaml"] = string(text)
			run(t, written(t, files, prometheusConfigDir), tool(t, "promtool"), "test", "rules", "rules.test.yaml")
		})
	}
}

// rulesOf the reference stack.
func rulesOf(t *testing.T, name string) []rulefmt.Rule {
	t.Helper()
	return rulesIn(t, filesOf(t, name, ComponentPrometheus))
}

func rulesIn(t *testing.T, files map[string]string) []rulefmt.Rule {
	t.Helper()
	var rules []rulefmt.Rule
	for _, file := range []string{rulesFile, objectivesFile} {
		groups, errs := rulefmt.Parse([]byte(files[file]), false, model.UTF8Validation)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, g := range groups.Groups {
			rules = append(rules, g.Rules...)
		}
	}
	return rules
}

// TestEveryAlertIsTested finds for each alert, by severity and objective, a test in which it does not fire, then does, then does not;
// and for each figure one of its value.
func TestEveryAlertIsTested(t *testing.T) {
	tests := allTests(t)
	values := map[string]bool{}
	for _, test := range tests {
		for _, check := range test.Checks {
			for _, name := range regexp.MustCompile(`[\w:]+`).FindAllString(check.Expr, -1) {
				values[name] = values[name] || len(check.Samples) > 0
			}
		}
	}
	for _, rule := range rulesOf(t, "mission") {
		if rule.Alert == "" {
			if !values[rule.Record] {
				t.Errorf("no test computes %s", rule.Record)
			}
			continue
		}
		a := sighting{rule.Alert, rule.Labels["severity"], rule.Labels["objective"]}
		var before, fires, after bool
		for _, test := range tests {
			b, f, e := a.in(test)
			before, fires, after = before || b, fires || f, after || e
		}
		if !fires || rule.Alert != alertWatchdog && (!before || !after) {
			t.Errorf("tests see that %+v does not fire before: %v, fires: %v, does not after: %v", a, before, fires, after)
		}
	}
}

// sighting of an alert. What is empty was not looked at.
type sighting struct{ alert, severity, objective string }

// in a test, a does not fire before it does, fires, and does not after.
func (a sighting) in(test promtoolTest) (before, fires, after bool) {
	for _, check := range test.Checks {
		if len(check.Samples) == 0 {
			if asked := seenIn(check.Expr); asked.alert == a.alert && covers(asked.severity, a.severity) && covers(asked.objective, a.objective) {
				before, after = before || !fires, after || fires
			}
		}
		for _, s := range check.Samples {
			fires = fires || seenIn(check.Expr+s.Labels) == a
		}
	}
	return before, fires, after
}

func covers(asked, is string) bool { return asked == "" || asked == is }

// seenIn the text of a query and of the labels that came of it.
func seenIn(text string) sighting {
	value := func(label string) string {
		if m := regexp.MustCompile(`\b` + label + `="([\w-]+)"`).FindStringSubmatch(text); m != nil && strings.Contains(text, "ALERTS{") {
			return m[1]
		}
		return ""
	}
	return sighting{value("alertname"), value("severity"), value("objective")}
}

// allTests of rules, from files and generated.
func allTests(t *testing.T) (all []promtoolTest) {
	t.Helper()
	for _, file := range ruleTests(t) {
		var content struct {
			Tests []promtoolTest `json:"tests"`
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = yaml.Unmarshal(text, &content)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content.Tests...)
	}
	for key, tests := range generatedTests() {
		if key.window == "30d" { // as in the case "mission"
			all = append(all, tests...)
		}
	}
	return all
}

// TestEveryAlertSaysWhatToDo finds the annotations, the runbook and the dashboard of each alert, and no runbook without one.
func TestEveryAlertSaysWhatToDo(t *testing.T) {
	known := map[string]bool{}
	for _, rule := range rulesOf(t, "mission") {
		if rule.Alert == "" {
			continue
		}
		file := rule.Alert + ".md"
		known[file] = true
		text, err := os.ReadFile("../docs/runbooks/" + file)
		for _, part := range []string{"# " + rule.Alert + "\n", "## What it means\n", "## How to look\n", "## How to mend it\n"} {
			if err != nil || !strings.Contains(string(text), part) {
				t.Errorf("docs/runbooks/%s has no %q (%v)", file, part, err)
			}
		}
		a := rule.Annotations
		if a["summary"] == "" || a["description"] == "" || !strings.HasSuffix(a["runbook_url"], "/docs/runbooks/"+file) || !strings.Contains(a["dashboard"], "/d/mockup-") {
			t.Errorf("%s has annotations %v", rule.Alert, a)
		}
		for _, label := range []string{"severity", "stack", "namespace"} {
			if rule.Labels[label] == "" {
				t.Errorf("%s has no label %s", rule.Alert, label)
			}
		}
	}
	files, _ := filepath.Glob("../docs/runbooks/*.md")
	for _, f := range files {
		if !known[filepath.Base(f)] {
			t.Errorf("%s is of no alert", f)
		}
	}
}

// TestRoutes asks amtool where each alert of the reference stack goes, as the case "alerts" routes them.
func TestRoutes(t *testing.T) {
	dir := written(t, filesOf(t, "alerts", ComponentAlertmanager), alertmanagerConfigDir)
	run(t, dir, tool(t, "amtool"), "check-config", alertmanagerConfigFile)
	for _, rule := range append(rulesOf(t, "alerts"), rulesOf(t, "mission")...) {
		if rule.Alert == "" {
			continue
		}
		want := []string{"mail"}
		switch rule.Labels["severity"] {
		case severityCritical:
			want = append(want, "on-call")
		case severityWarning:
			want = append(want, "alerts")
		}
		if rule.Alert == alertMimeServerDown {
			want = append(want, "ops-critical")
		}
		args := []string{"config", "routes", "test", "--config.file=" + alertmanagerConfigFile, "alertname=" + rule.Alert}
		for _, label := range sortedKeys(rule.Labels) {
			args = append(args, label+"="+rule.Labels[label])
		}
		var got []string
		for _, r := range strings.Split(strings.TrimSpace(run(t, dir, tool(t, "amtool"), args...)), ",") {
			if r != nobody {
				got = append(got, r)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s (%s) goes to %q, want %q", rule.Alert, rule.Labels["severity"], got, want)
		}
	}
}
