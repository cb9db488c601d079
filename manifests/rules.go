package manifests

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"
)

// Severities of alerts: somebody has to do something now, or before long, or never.
const (
	severityCritical = "critical"
	severityWarning  = "warning"
	severityNone     = "none"
)

// alert is a rule of which people are told.
type alert struct {
	name, severity string
	// service that it is about; empty where the expression tells.
	service string
	// expr is true for what is to be alerted. It holds for as long as wait before it is.
	expr string
	wait time.Duration
	// summary is one line, description says how bad it is and what to look at first.
	summary, description string
	// dashboard is the uid of the one that shows more. Where it could not be filled, and is not there, that of alerts is.
	dashboard string
	labels    map[string]string
}

// rule is a with all that is the same for every alert.
func (r *addonRenderer) rule(a alert) rulefmt.Rule {
	labels := map[string]string{"severity": a.severity, "stack": r.stack.Name, "namespace": r.owner.Namespace}
	if a.service != "" {
		labels["service"] = a.service
	}
	maps.Copy(labels, a.labels)
	annotations := map[string]string{"summary": a.summary, "description": a.description, "runbook_url": runbookURL(a.name)}
	if r.wants(ComponentGrafana) {
		annotations["dashboard"] = r.dashboardURL(a)
	}
	return rulefmt.Rule{Alert: a.name, Expr: a.expr, For: model.Duration(a.wait), Labels: labels, Annotations: annotations}
}

// runbookURL is where people read what an alert means, how to look, and how to mend: docs/runbooks/NAME.md.
func runbookURL(name string) string {
	return "https://mockup.dev/mockup/docs/runbooks/" + name + ".md"
}

// dashboardURL opens the dashboard of an alert for its service. Labels that the rule adds are not among $labels.
func (r *addonRenderer) dashboardURL(a alert) string {
	service := cmp.Or(a.service, "{{ $labels.service }}")
	uid := a.dashboard
	if !slices.ContainsFunc(r.boards(), func(b board) bool { return b.uid == uid }) {
		uid = dashboardAlerts
	}
	return fmt.Sprintf("%s/d/%s?var-stack=%s&var-service=%s", r.externalURL(ComponentGrafana), uid, r.stack.Name, service)
}

func record(name, expr string, labels map[string]string) rulefmt.Rule {
	return rulefmt.Rule{Record: name, Expr: expr, Labels: labels}
}

// slowly: every minute is often enough for what looks back over days.
const slowly = model.Duration(time.Minute)

// rulesFiles are Prometheus' rules, checked as Prometheus would.
func (r *addonRenderer) rulesFiles() (map[string]string, error) {
	burning, err := r.burnRules()
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for name, groups := range map[string][]rulefmt.RuleGroup{
		rulesFile:      {r.requestRules(), r.serviceAlerts(), r.hostAlerts(), r.backupAlerts(), r.watcherAlerts()},
		objectivesFile: append([]rulefmt.RuleGroup{r.levelRules()}, burning...),
	} {
		text, err := yaml.Marshal(rulefmt.RuleGroups{Groups: groups})
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
		if _, errs := rulefmt.Parse(text, false, model.UTF8Validation); len(errs) > 0 {
			return nil, &InvalidError{Field: "spec.objectives", Reason: fmt.Sprintf("Prometheus refuses the rules: %v", errs[0])}
		}
		files[name] = string(text)
	}
	return files, nil
}

// measured are the services whose requests are counted, and the gateway if somebody counts its.
func (r *addonRenderer) measured() []string {
	var out []string
	for _, s := range r.stack.Spec.Services {
		if s.MetricsPort != 0 {
			out = append(out, s.Name)
		}
	}
	if r.stack.Spec.Gateway != nil && r.wants(ComponentPromtail) {
		out = append(out, ComponentGateway)
	}
	return out
}
