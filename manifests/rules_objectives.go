package manifests

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"

	"mockup.dev/mockup/api/v1alpha1"
)

// defaultWindow of objectives, and of the figures of services that have none.
const defaultWindow = "30d"

func windowOf(o *v1alpha1.Objective) string { return cmp.Or(o.Window, defaultWindow) }

// bounds of an objective: the percentage of requests that do as it says, and for latency the time within which, as agreed
// and as aimed at.
type bounds struct {
	agreed, target             float64
	agreedWithin, targetWithin time.Duration
}

// boundsOf an objective. What can't be read has been refused before.
func boundsOf(o *v1alpha1.Objective) bounds {
	switch {
	case o.Availability != nil:
		return bounds{agreed: percent(o.Availability.Agreed), target: percent(cmp.Or(o.Availability.Target, o.Availability.Agreed))}
	case o.ErrorRate != nil:
		return bounds{agreed: 100 - percent(o.ErrorRate.Agreed), target: 100 - percent(cmp.Or(o.ErrorRate.Target, o.ErrorRate.Agreed))}
	}
	part := float64(cmp.Or(o.Latency.Percentile, defaultPercentile))
	b := bounds{agreed: part, target: part, agreedWithin: o.Latency.Agreed.Duration, targetWithin: o.Latency.Agreed.Duration}
	if o.Latency.Target != nil {
		b.targetWithin = o.Latency.Target.Duration
	}
	return b
}

const defaultPercentile = 95

func percent(text string) float64 {
	p, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return p
}

// budget is the part of requests, from 0 to 1, that may fail an objective of so many percent, without the dust of binary
// fractions: 1 - 0.9995 would be 0.0004999999999999449.
func budget(p float64) string {
	return strings.TrimRight(strconv.FormatFloat((100-p)/100, 'f', 8, 64), "0")
}

// levelRules are the figures of each service and of each objective: how well it did over the window, how much of the budget
// is left, and how often it was worse than agreed.
func (r *addonRenderer) levelRules() rulefmt.RuleGroup {
	group := rulefmt.RuleGroup{Name: "levels", Interval: slowly}
	for _, figure := range []struct {
		name, before, after string
		of                  func(*v1alpha1.Objective) bool
	}{
		{"availability_percentage", "100 * (1 - ", ")", isAvailability},
		{"error_rate_percentage", "100 * (", ")", isErrorRate},
	} {
		byWindow := map[string][]string{}
		for _, service := range r.measured() {
			w := r.window(service, figure.of)
			byWindow[w] = append(byWindow[w], service)
		}
		for _, w := range sortedKeys(byWindow) {
			services := fmt.Sprintf("service=~%q", strings.Join(byWindow[w], "|"))
			group.Rules = append(group.Rules, record(figure.name, figure.before+errorRatio(services, w)+figure.after, map[string]string{"window": w}))
		}
	}
	for i := range r.addon.Spec.Objectives {
		group.Rules = append(group.Rules, r.objectiveRules(&r.addon.Spec.Objectives[i])...)
	}
	return group
}

func isAvailability(o *v1alpha1.Objective) bool { return o.Availability != nil }
func isErrorRate(o *v1alpha1.Objective) bool    { return o.ErrorRate != nil }

// window of the first objective of a service that is of a kind.
func (r *addonRenderer) window(service string, kind func(*v1alpha1.Objective) bool) string {
	for i := range r.addon.Spec.Objectives {
		if o := &r.addon.Spec.Objectives[i]; o.Service == service && kind(o) {
			return windowOf(o)
		}
	}
	return defaultWindow
}

func (r *addonRenderer) objectiveRules(o *v1alpha1.Objective) []rulefmt.Rule {
	b, window := boundsOf(o), windowOf(o)
	labels := map[string]string{"objective": o.Name}
	agreed := fmt.Sprintf("sla:sli_error:ratio_rate5m{objective=%q}", o.Name)
	return []rulefmt.Rule{
		record("sla:sli_error:ratio_rate5m", indicator(o, b.agreedWithin, "5m"), labels),
		record("sla_violations_total", fmt.Sprintf("count_over_time((%s > %s)[%s:5m]) or 0 * count_over_time(%s[%s])",
			agreed, budget(b.agreed), window, agreed, window), labels),
		record("error_budget_remaining_percent", fmt.Sprintf("100 * (1 - %s / %s)", indicator(o, b.targetWithin, window), budget(b.target)), labels),
		record("objective:agreed:ratio", "vector("+ratio(b.agreed)+")", r.own(o)),
		record("objective:target:ratio", "vector("+ratio(b.target)+")", r.own(o)),
	}
}

func ratio(p float64) string { return strconv.FormatFloat(p/100, 'g', 8, 64) }

// own labels of what an objective says.
func (r *addonRenderer) own(o *v1alpha1.Objective) map[string]string {
	return map[string]string{"objective": o.Name, "service": o.Service, "stack": r.stack.Name, "namespace": r.owner.Namespace}
}

// budgetAlert warns when half of an error budget is used, if there were enough requests to tell.
func (r *addonRenderer) budgetAlert(o *v1alpha1.Objective) rulefmt.Rule {
	return r.rule(alert{
		name: "ErrorBudgetWarning", severity: severityWarning, service: o.Service, wait: 5 * time.Minute,
		expr: fmt.Sprintf("error_budget_remaining_percent{objective=%q} <= 50 and on () %s >= %d",
			o.Name, requestsIn(o.Service, windowOf(o)), enoughRequests),
		labels:      map[string]string{"objective": o.Name},
		summary:     fmt.Sprintf("Half of the error budget of %s is used", o.Name),
		description: fmt.Sprintf(`{{ $value | printf "%%.1f" }} %% of the error budget of %s are left for %s. Nothing is broken yet; what is risky should wait.`, o.Name, windowOf(o)),
		dashboard:   dashboardLevels,
	})
}

// enoughRequests are as many as it takes for a part of them to mean something.
const enoughRequests = 100
