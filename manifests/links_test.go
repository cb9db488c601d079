package manifests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/rulefmt"

	"mockup.dev/mockup/api/v1alpha1"
)

// TestEveryLinkLeadsToADashboard of those that Grafana is given; without Grafana there is no link.
func TestEveryLinkLeadsToADashboard(t *testing.T) {
	changes := map[string]func(*v1alpha1.ObservabilityAddonSpec){
		"as it is":      func(*v1alpha1.ObservabilityAddonSpec) {},
		"no dashboards": func(s *v1alpha1.ObservabilityAddonSpec) { s.Dashboards.Enabled = ptr(false) },
		"no logs":       func(s *v1alpha1.ObservabilityAddonSpec) { s.Logs.Enabled, s.Objectives = ptr(false), nil },
		"no traces":     func(s *v1alpha1.ObservabilityAddonSpec) { s.Tracing.Enabled = ptr(false) },
		"by the collector": func(s *v1alpha1.ObservabilityAddonSpec) {
			s.Logs.Agent, s.Objectives = v1alpha1.AgentOpenTelemetryCollector, nil
		},
	}
	for _, c := range addonCases(t) {
		for name, change := range changes {
			changed := c
			changed.addon = c.addon.DeepCopy()
			change(&changed.addon.Spec)
			known := map[string]bool{}
			for file := range filesOfCase(t, changed, ComponentGrafana) {
				known[strings.TrimSuffix(file, ".json")] = true
			}
			rules := rulesOfCase(t, changed)
			if len(rules) == 0 {
				t.Errorf("%s, %s: no rules", c.name, name)
			}
			for _, rule := range rules {
				_, link, linked := strings.Cut(rule.Annotations["dashboard"], "/d/")
				uid, _, _ := strings.Cut(link, "?")
				if rule.Alert != "" && (linked != on(changed.addon.Spec.Dashboards.Enabled) || linked && !known[uid]) {
					t.Errorf("%s, %s: %s leads to %q", c.name, name, rule.Alert, rule.Annotations["dashboard"])
				}
			}
			config := filesOfCase(t, changed, ComponentAlertmanager)[alertmanagerConfigFile]
			if strings.Contains(config, "mockup.dashboard") && !on(changed.addon.Spec.Dashboards.Enabled) {
				t.Errorf("%s, %s: messages lead to a dashboard", c.name, name)
			}
		}
	}
}

// TestMessages has amtool fill in the messages about groups of alerts.
func TestMessages(t *testing.T) {
	dir := written(t, filesOf(t, "alerts", ComponentAlertmanager), alertmanagerConfigDir)
	amtool := tool(t, "amtool")
	filled := func(group ...map[string]any) (title, severity, color, mail string) {
		data, err := json.Marshal(map[string]any{
			"status": group[0]["status"], "alerts": group, "groupLabels": map[string]string{"alertname": "StorageVolumeFull", "stack": "mockup"},
			"commonLabels": map[string]string{}, "commonAnnotations": map[string]string{},
		})
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "data.json"), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		of := func(template string) string {
			return strings.TrimSpace(run(t, dir, amtool, "template", "render", "--template.glob="+messagesFile, "--template.data=data.json",
				"--template.text={{ template \"mockup."+template+"\" . }}"))
		}
		return of("title"), of("severity"), of("color"), of("mail")
	}
	alert := func(status, severity string) map[string]any {
		return map[string]any{"status": status, "labels": map[string]string{"severity": severity}, "annotations": map[string]string{"summary": "It is so", "dashboard": "http://d/"}}
	}
	for _, c := range []struct {
		group                  []map[string]any
		title, severity, color string
	}{
		{[]map[string]any{alert("firing", "warning"), alert("firing", "critical")}, "[CRITICAL] StorageVolumeFull: 2 alerts (mockup)", "critical", "danger"},
		{[]map[string]any{alert("firing", "critical"), alert("firing", "warning")}, "[CRITICAL] StorageVolumeFull: 2 alerts (mockup)", "critical", "danger"},
		{[]map[string]any{alert("firing", "warning"), alert("resolved", "critical")}, "[WARNING] StorageVolumeFull: 2 alerts (mockup)", "warning", "warning"},
		{[]map[string]any{alert("firing", "warning")}, "[WARNING] It is so (mockup)", "warning", "warning"},
		{[]map[string]any{alert("firing", "none")}, "[INFO] It is so (mockup)", "info", "warning"},
		{[]map[string]any{alert("resolved", "critical")}, "[RESOLVED] It is so (mockup)", "critical", "good"},
	} {
		title, severity, color, mail := filled(c.group...)
		if title != c.title || severity != c.severity || color != c.color {
			t.Errorf("got %q, %s, %s; want %q, %s, %s", title, severity, color, c.title, c.severity, c.color)
		}
		if !slices.Contains([]string{"critical", "error", "warning", "info"}, severity) {
			t.Errorf("PagerDuty knows no %s", severity)
		}
		if !strings.Contains(mail, "\nDashboard: http://d/\nSilence: ") {
			t.Errorf("a mail says %q", mail)
		}
	}
}

// TestNoAlertIsOutOfReach finds no pair of windows whose limit is more than all requests, and for lax objectives those that are left.
func TestNoAlertIsOutOfReach(t *testing.T) {
	for agreed, want := range map[string][]string{ // of 14.4, 6, 3 and 1 times the budget
		"99": {"14.4", "6", "3", "1"}, "93.06": {"14.4", "6", "3", "1"}, "93.05": {"6", "3", "1"}, "90": {"6", "3", "1"},
		"83.3333": {"3", "1"}, "50": {"1"},
	} {
		c := readCase(t, "testdata/observability/mission.in.yaml")
		c.addon.Spec.Objectives = []v1alpha1.Objective{{Name: "lax", Service: "gateway", Availability: &v1alpha1.AvailabilityObjective{Agreed: agreed}}}
		var burns []string
		for _, rule := range rulesOfCase(t, c) {
			if rule.Alert == "ErrorBudgetBurn" {
				burns = append(burns, rule.Expr)
			}
		}
		for _, factor := range []string{"14.4", "6", "3", "1"} {
			found := strings.Contains(strings.Join(burns, " or "), "> "+factor+" * ")
			if found != slices.Contains(want, factor) {
				t.Errorf("availability of %s: is there a limit of %s times the budget? %v", agreed, factor, found)
			}
		}
	}
}

// TestEachPairCountsItsRequests over its own long window.
func TestEachPairCountsItsRequests(t *testing.T) {
	for _, rule := range rulesOf(t, "mission") {
		if rule.Alert != "ErrorBudgetBurn" {
			continue
		}
		pairs := strings.Split(rule.Expr, " or ")
		if len(pairs) != 2 {
			t.Fatalf("%d pairs in %s", len(pairs), rule.Expr)
		}
		for i, long := range map[string][]string{severityCritical: {"1h", "6h"}, severityWarning: {"1d", "3d"}}[rule.Labels["severity"]] {
			if !strings.Contains(pairs[i], "ratio_rate"+long+"{") || !strings.Contains(pairs[i], "["+long+"])) >= 100") {
				t.Errorf("%s does not count the requests of %s", pairs[i], long)
			}
		}
	}
}

func rulesOfCase(t *testing.T, c testCase) []rulefmt.Rule {
	t.Helper()
	return rulesIn(t, filesOfCase(t, c, ComponentPrometheus))
}
