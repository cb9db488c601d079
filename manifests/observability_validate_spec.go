package manifests

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"mockup.dev/mockup/api/v1alpha1"
)

// objectives are of services that are there and measured, and can be kept and missed.
func (v *addonValidator) objectives() {
	spec := &v.addon.Spec
	if len(spec.Objectives) > 0 && !on(spec.Metrics.Enabled) {
		v.reject("spec.objectives", "", "need metrics, which are switched off")
	}
	v.covers(cmp.Or(spec.Metrics.Retention, defaultMetricsRetention))
	counted := on(spec.Logs.Enabled) && spec.Logs.Agent != v1alpha1.AgentOpenTelemetryCollector
	for i := range spec.Objectives {
		o, field := &spec.Objectives[i], fmt.Sprintf("spec.objectives[%d]", i)
		if reasons := validation.IsDNS1123Label(o.Name); len(reasons) > 0 {
			v.reject(field+".name", o.Name, reasons[0])
		}
		v.unique("objective", o.Name, field+".name")
		if o.Service == ComponentGateway && !counted {
			v.reject("spec.objectives", "", "of the gateway need logs by Promtail, which counts its requests")
		}
		v.measuredService(field+".service", o.Service)
		if _, ok := burnWindows[windowOf(o)]; !ok {
			v.reject(field+".window", o.Window, "is none of 7d, 28d and 30d")
		}
		v.indicator(field, o)
	}
}

// covers the windows of objectives: of samples that are gone, figures would be of less than they say.
func (v *addonValidator) covers(retention string) {
	kept, err := hours(retention)
	if err != nil {
		return // and refused elsewhere
	}
	for i := range v.addon.Spec.Objectives {
		o := &v.addon.Spec.Objectives[i]
		if needed, err := hours(windowOf(o)); err == nil && kept < needed {
			v.reject("spec.metrics.retention", retention, fmt.Sprintf("is less than the window of objective %s, %s", o.Name, windowOf(o)))
			return
		}
	}
}

func (v *addonValidator) measuredService(field, name string) {
	if name == ComponentGateway {
		if v.stack.Spec.Gateway == nil {
			v.reject(field, name, "is not there: the stack has none")
		}
		return
	}
	i := slices.IndexFunc(v.stack.Spec.Services, func(s v1alpha1.Service) bool { return s.Name == name })
	switch {
	case i < 0:
		v.reject(field, name, "is no service of the stack")
	case v.stack.Spec.Services[i].MetricsPort == 0:
		v.reject(field, name, "has no metricsPort, so that nobody knows how it does")
	}
}

func (v *addonValidator) indicator(field string, o *v1alpha1.Objective) {
	set := 0
	if a := o.Availability; a != nil {
		set++
		v.percentages(field+".availability", a.Agreed, a.Target, func(agreed, target float64) bool { return target >= agreed }, "least")
	}
	if e := o.ErrorRate; e != nil {
		set++
		v.percentages(field+".errorRate", e.Agreed, e.Target, func(agreed, target float64) bool { return target <= agreed }, "most")
	}
	if l := o.Latency; l != nil {
		set++
		v.latency(field+".latency", o.Service, l)
	}
	if set != 1 {
		v.reject(field, "", "needs exactly one of availability, errorRate and latency")
	}
}

// percentPattern is a percentage below 100.
var percentPattern = regexp.MustCompile(`^[0-9]{1,2}([.][0-9]{1,4})?$`)

func (v *addonValidator) percentages(field, agreed, target string, stricter func(agreed, target float64) bool, bound string) {
	const reason = "is no percentage above 0 and below 100 with at most four decimals, e.g. 99.9"
	if !percentPattern.MatchString(agreed) || percent(agreed) == 0 {
		v.reject(field+".agreed", agreed, reason)
		return
	}
	switch {
	case target == "":
	case !percentPattern.MatchString(target) || percent(target) == 0:
		v.reject(field+".target", target, reason)
	case !stricter(percent(agreed), percent(target)):
		v.reject(field+".target", target, "must be at "+bound+" what is agreed, "+agreed)
	}
}

func (v *addonValidator) latency(field, service string, l *v1alpha1.LatencyObjective) {
	if l.Percentile < 0 || l.Percentile > 99 {
		v.reject(field+".percentile", fmt.Sprint(l.Percentile), "is not from 1 to 99")
	}
	v.latencyBound(field+".agreed", service, l.Agreed.Duration)
	if l.Target == nil {
		return
	}
	v.latencyBound(field+".target", service, l.Target.Duration)
	if l.Target.Duration > l.Agreed.Duration {
		v.reject(field+".target", l.Target.Duration.String(), "must be at most what is agreed, "+l.Agreed.Duration.String())
	}
}

// latencyBound must be one by which requests are counted. Of the gateway it is known which these are.
func (v *addonValidator) latencyBound(field, service string, d time.Duration) {
	if d <= 0 {
		v.reject(field, d.String(), "is not positive")
		return
	}
	counted := slices.ContainsFunc(latencyBuckets, func(b string) bool {
		seconds, err := strconv.ParseFloat(b, 64)
		return err == nil && seconds == d.Seconds()
	})
	if service == ComponentGateway && !counted {
		v.reject(field, d.String(), fmt.Sprintf("is none of the bounds by which the gateway's requests are counted: %v seconds", latencyBuckets))
	}
}

// address on the web.
func (v *addonValidator) address(field, address string) {
	if u, err := url.Parse(address); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		v.reject(field, address, "is no address with a host that begins with http:// or https://")
	}
}

// receivers are reached in some way, and routes lead to them.
func (v *addonValidator) receivers() {
	a, known := &v.addon.Spec.Alerting, map[string]bool{}
	if len(a.Receivers) > 0 && !on(a.Enabled) {
		v.reject("spec.alerting.receivers", "", "need alerting, which is switched off")
	}
	for i := range a.Receivers {
		r, field := &a.Receivers[i], fmt.Sprintf("spec.alerting.receivers[%d]", i)
		if reasons := validation.IsDNS1123Label(r.Name); len(reasons) > 0 || r.Name == nobody {
			v.reject(field+".name", r.Name, "is no name of a receiver: it has lower-case letters, digits and \"-\", and is not nobody")
		}
		v.unique("receiver", r.Name, field+".name")
		if r.PagerDuty == nil && r.Slack == nil && r.Email == nil {
			v.reject(field, "", "needs at least one of pagerDuty, slack and email")
		}
		if p := r.PagerDuty; p != nil && p.URL != "" {
			v.address(field+".pagerDuty.url", p.URL)
		}
		known[r.Name] = true
	}
	for i, route := range a.Routes {
		field := fmt.Sprintf("spec.alerting.routes[%d]", i)
		for j, name := range route.Receivers {
			if !known[name] {
				v.reject(fmt.Sprintf("%s.receivers[%d]", field, j), name, "is none of spec.alerting.receivers")
			}
		}
		for label := range route.Match {
			if reasons := validation.IsCIdentifier(label); len(reasons) > 0 {
				v.reject(field+".match", label, "is no name of a label")
			}
		}
	}
}
