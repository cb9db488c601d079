package manifests

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"

	"mockup.dev/mockup/api/v1alpha1"
)

// burnWindow is a pair of windows over which an error budget burns at least factor times as fast as it may. The short one
// ends the alert soon after the trouble has ended (Google's SRE Workbook, chapter 5).
type burnWindow struct {
	long, short string
	// part of the budget, in percent, that has been used when the alert comes.
	part float64
}

// burnWindows by window of an objective: those that call somebody at once, and those that can wait for the morning.
var burnWindows = map[string]struct{ page, ticket [2]burnWindow }{
	"30d": {
		page:   [2]burnWindow{{"1h", "5m", 2}, {"6h", "30m", 5}},
		ticket: [2]burnWindow{{"1d", "2h", 10}, {"3d", "6h", 10}},
	},
	"28d": {
		page:   [2]burnWindow{{"1h", "5m", 2}, {"6h", "30m", 5}},
		ticket: [2]burnWindow{{"1d", "2h", 10}, {"3d", "6h", 10}},
	},
	"7d": {
		page:   [2]burnWindow{{"1h", "5m", 8}, {"6h", "30m", 12.5}},
		ticket: [2]burnWindow{{"1d", "2h", 20}, {"3d", "6h", 42}},
	},
}

// factor by which the budget of a window burns faster than it may.
func (w burnWindow) factor(window string) float64 {
	return w.part / 100 * float64(duration(window)) / float64(duration(w.long))
}

// duration of a window that is written here.
func duration(text string) time.Duration {
	d, err := model.ParseDuration(text)
	if err != nil {
		panic(fmt.Sprintf("%q: %v", text, err))
	}
	return time.Duration(d)
}

// burnRules are the ratios of each objective over the windows, and the alerts that compare them.
func (r *addonRenderer) burnRules() ([]rulefmt.RuleGroup, error) {
	var groups []rulefmt.RuleGroup
	for i := range r.addon.Spec.Objectives {
		o := &r.addon.Spec.Objectives[i]
		windows, ok := burnWindows[windowOf(o)]
		if !ok {
			return nil, &InvalidError{Field: fmt.Sprintf("spec.objectives[%d].window", i), Value: o.Window, Reason: "is none of 7d, 28d and 30d"}
		}
		group := rulefmt.RuleGroup{Name: "objective-" + o.Name}
		for _, w := range []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"} {
			group.Rules = append(group.Rules, record(burnMetric(w), indicator(o, boundsOf(o).targetWithin, w), map[string]string{"objective": o.Name}))
		}
		for _, a := range []struct {
			severity string
			windows  [2]burnWindow
		}{{severityCritical, windows.page}, {severityWarning, windows.ticket}} {
			if able := ableToFire(o, a.windows[:]); len(able) > 0 {
				group.Rules = append(group.Rules, r.burnAlert(o, a.severity, able))
			}
		}
		group.Rules = append(group.Rules, r.budgetAlert(o))
		groups = append(groups, group)
	}
	return groups, nil
}

func burnMetric(window string) string { return "slo:sli_error:ratio_rate" + window }

// ableToFire are the pairs of windows over which a budget can burn as fast as that: even if all requests fail, one of 10 %
// burns only 10 times as fast as it may.
func ableToFire(o *v1alpha1.Objective, windows []burnWindow) []burnWindow {
	part := (100 - boundsOf(o).target) / 100
	return slices.DeleteFunc(slices.Clone(windows), func(w burnWindow) bool { return w.factor(windowOf(o))*part >= 1 })
}

// burnAlert compares pairs of windows, each if there were enough requests in it to mean something.
func (r *addonRenderer) burnAlert(o *v1alpha1.Objective, severity string, windows []burnWindow) rulefmt.Rule {
	var pairs []string
	for _, w := range windows {
		limit := fmt.Sprintf("%g * %s", w.factor(windowOf(o)), budget(boundsOf(o).target))
		pairs = append(pairs, fmt.Sprintf("(%s{objective=%q} > %s and %s{objective=%q} > %s and on () %s >= %d)",
			burnMetric(w.short), o.Name, limit, burnMetric(w.long), o.Name, limit, requestsIn(o.Service, w.long), enoughRequests))
	}
	return r.rule(alert{
		name: "ErrorBudgetBurn", severity: severity, service: o.Service,
		expr:    strings.Join(pairs, " or "),
		labels:  map[string]string{"objective": o.Name},
		summary: fmt.Sprintf("%s burns its error budget", o.Name),
		description: fmt.Sprintf(`{{ $value | humanizePercentage }} of requests of late did not do as the objective %s says, which used at least %g %% of the budget for %s within %s.`,
			o.Name, windows[0].part, windowOf(o), windows[0].long),
		dashboard: dashboardLevels,
	})
}
