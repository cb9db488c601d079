package manifests

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
)

// Thresholds of alerts.
const (
	errorRateLimit     = 0.05 // of requests within 5 minutes
	requestsToTell     = 10   // within 5 minutes
	latencyLimit       = time.Second
	volumeWarning      = 0.80 // of its size
	volumeCritical     = 0.95
	memoryLimit        = 0.90 // of what the container may have
	certificateWarning = 14 * 24 * time.Hour
	certificateLast    = 3 * 24 * time.Hour
	logBacklog         = 1 << 20 // bytes of a file that are not read yet
)

// ours selects the series of this stack.
func (r *addonRenderer) ours(more ...string) string {
	return strings.Join(append([]string{fmt.Sprintf("stack=%q", r.stack.Name), fmt.Sprintf("namespace=%q", r.owner.Namespace)}, more...), ",")
}

// serviceAlerts are about what people use.
func (r *addonRenderer) serviceAlerts() rulefmt.RuleGroup {
	group := rulefmt.RuleGroup{Name: "services"}
	for i := range r.stack.Spec.Services {
		if s := &r.stack.Spec.Services[i]; s.MetricsPort != 0 && replicas(s) > 0 {
			up := fmt.Sprintf("up{%s} == 1", r.ours(fmt.Sprintf("job=%q", s.Name)))
			group.Rules = append(group.Rules, r.downAlert(s.Name, up))
		}
	}
	if r.wants(ComponentGatewayExporter) {
		group.Rules = append(group.Rules, r.downAlert(ComponentGateway, fmt.Sprintf("nginx_up{%s} == 1", r.ours())))
	}
	for _, service := range r.measured() {
		if service == ComponentGateway {
			group.Rules = append(group.Rules, r.gatewayErrors())
		}
		group.Rules = append(group.Rules, r.latencyAlert(service))
	}
	return group
}

// downAlert tells that no pod of a service answers: either none is there, or those that are do not.
func (r *addonRenderer) downAlert(service, up string) rulefmt.Rule {
	name := alertServiceDown
	if service == "mime-server" {
		name = alertMimeServerDown // as it has always been called
	}
	return r.rule(alert{
		name: name, severity: severityCritical, service: service, expr: "absent(" + up + ")", wait: time.Minute,
		summary:     service + " is down",
		description: fmt.Sprintf("No pod of %s in stack %s answers Prometheus. What needs it fails.", service, r.stack.Name),
		dashboard:   dashboardServices,
	})
}

func (r *addonRenderer) gatewayErrors() rulefmt.Rule {
	return r.rule(alert{
		name: "GatewayHighErrorRate", severity: severityCritical, service: ComponentGateway, wait: time.Minute,
		expr: fmt.Sprintf("service:http_errors:ratio_rate5m{service=%q} > %g and on () %s >= %d",
			ComponentGateway, errorRateLimit, requestsIn(ComponentGateway, "5m"), requestsToTell),
		summary:     "The gateway answers many requests with errors",
		description: `{{ $value | humanizePercentage }} of the requests of the last 5 minutes were answered with 500 or above.`,
		dashboard:   dashboardGateway,
	})
}

// latencyAlert compares with what the first objective of latency agrees for its percentile, or 95 of 100 requests with a second
// where nothing is agreed.
func (r *addonRenderer) latencyAlert(service string) rulefmt.Rule {
	limit, percentile := latencyLimit, int32(defaultPercentile)
	for i := range r.addon.Spec.Objectives {
		if o := &r.addon.Spec.Objectives[i]; o.Service == service && o.Latency != nil {
			limit, percentile = o.Latency.Agreed.Duration, cmp.Or(o.Latency.Percentile, defaultPercentile)
			break
		}
	}
	took := fmt.Sprintf("latency_p95_seconds{service=%q}", service)
	if percentile != defaultPercentile {
		took = quantile(percentile, fmt.Sprintf("service=%q", service))
	}
	return r.rule(alert{
		name: "HighLatency", severity: severityWarning, service: service, wait: 2 * time.Minute,
		expr:        fmt.Sprintf("%s > %v and on () %s >= %d", took, limit.Seconds(), requestsIn(service, "5m"), requestsToTell),
		summary:     service + " answers slowly",
		description: fmt.Sprintf("%d of 100 requests take longer than {{ $value | humanizeDuration }}; no more than %s is all right.", 100-percentile, limit),
		dashboard:   dashboardServices,
	})
}

// hostAlerts are about what runs out.
func (r *addonRenderer) hostAlerts() rulefmt.RuleGroup {
	claims := fmt.Sprintf(`namespace=%q,persistentvolumeclaim=~"(%s|%s)-.+"`, r.owner.Namespace, r.stack.Name, r.owner.Name)
	used := fmt.Sprintf("kubelet_volume_stats_used_bytes{%s} / kubelet_volume_stats_capacity_bytes{%s}", claims, claims)
	full := func(severity string, limit float64, wait time.Duration) rulefmt.Rule {
		return r.rule(alert{
			name: "StorageVolumeFull", severity: severity, wait: wait,
			expr:        fmt.Sprintf("%s > %g", used, limit),
			summary:     "Volume {{ $labels.persistentvolumeclaim }} is nearly full",
			description: "{{ $value | humanizePercentage }} of it are used. When nothing is left, writing fails.",
			dashboard:   dashboardContainers,
		})
	}
	expires := func(severity string, left time.Duration) rulefmt.Rule {
		return r.rule(alert{
			name: "CertificateExpiry", severity: severity, service: ComponentGateway, wait: time.Minute,
			expr:        fmt.Sprintf("mockup_certificate_expiry_timestamp_seconds{namespace=%q} - time() < %d", r.owner.Namespace, int64(left.Seconds())),
			summary:     "The gateway's certificate expires soon",
			description: "It is valid for another {{ $value | humanizeDuration }}; afterwards browsers warn of the site.",
			dashboard:   dashboardGateway,
		})
	}
	return rulefmt.RuleGroup{Name: "host", Rules: []rulefmt.Rule{
		full(severityWarning, volumeWarning, 5*time.Minute), full(severityCritical, volumeCritical, time.Minute),
		r.memoryAlert(),
		expires(severityWarning, certificateWarning), expires(severityCritical, certificateLast),
	}}
}

// memoryAlert is about containers of the stack and the addon. A container is called like its service, but for the gateway's.
func (r *addonRenderer) memoryAlert() rulefmt.Rule {
	var names []string
	for _, s := range r.logSources() {
		names = append(names, s.Container)
	}
	of := fmt.Sprintf(`namespace=%q,container=~"%s"`, r.owner.Namespace, strings.Join(names, "|"))
	part := fmt.Sprintf("container_memory_working_set_bytes{%s} / (container_spec_memory_limit_bytes{%s} > 0) > %g", of, of, memoryLimit)
	return r.rule(alert{
		name: "MemoryUsageHigh", severity: severityWarning, wait: 5 * time.Minute,
		expr:        fmt.Sprintf(`label_replace(%s, "service", "$1", "container", "(?:%s-)?(.+)")`, part, r.stack.Name),
		summary:     "{{ $labels.container }} has nearly all the memory that it may have",
		description: "It uses {{ $value | humanizePercentage }} of its limit. Beyond it, the container is killed and started anew.",
		dashboard:   dashboardContainers,
	})
}
