package manifests

import (
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
)

// Names of alerts that others refer to.
const (
	alertServiceDown    = "ServiceDown"
	alertMimeServerDown = "MimeServerDown"
	alertAgentDown      = "LogAgentDown"
	alertAgentBehind    = "LogAgentBehind"
	alertWatchdog       = "Watchdog"
)

// watcherAlerts are about those who watch.
func (r *addonRenderer) watcherAlerts() rulefmt.RuleGroup {
	group := rulefmt.RuleGroup{Name: "watchers", Rules: []rulefmt.Rule{
		r.rule(alert{
			name: alertWatchdog, severity: severityNone, expr: "vector(1)",
			summary:     "Alerting works",
			description: "This alert fires all the time. Whoever is sent it and does not get it any more knows that nobody would be told of anything.",
			dashboard:   dashboardAlerts,
		}),
		r.rule(alert{
			name: "TargetDown", severity: severityWarning, wait: 2 * time.Minute,
			expr:        fmt.Sprintf("up{%s} == 0", r.ours()),
			summary:     "{{ $labels.job }} does not answer Prometheus",
			description: "{{ $labels.instance }} can't be read. What it does is not seen, and no other alert about it can be relied on.",
			dashboard:   dashboardAlerts,
		}),
	}}
	if r.wants(ComponentAlertmanager) {
		group.Rules = append(group.Rules, r.rule(alert{
			name: "NotificationsFail", severity: severityCritical, service: ComponentAlertmanager, wait: 5 * time.Minute,
			expr:        fmt.Sprintf("sum by (integration, stack, namespace) (increase(alertmanager_notifications_failed_total{%s}[15m])) > 0", r.ours()),
			summary:     "Alertmanager can't reach people by {{ $labels.integration }}",
			description: `{{ $value | printf "%.0f" }} messages of the last 15 minutes were not taken.`,
			dashboard:   dashboardAlerts,
		}))
	}
	if agent, _ := r.agent(); agent != "" {
		group.Rules = append(group.Rules, r.agentAlerts(agent)...)
	}
	return group
}

// agentAlerts are about the log agent. The gateway's figures come from Promtail, too.
func (r *addonRenderer) agentAlerts(agent string) []rulefmt.Rule {
	unread := fmt.Sprintf("max by (stack, namespace) (promtail_file_bytes_total{%s} - promtail_read_bytes_total{%s}) > %d", r.ours(), r.ours(), logBacklog)
	dropped := fmt.Sprintf("sum by (stack, namespace) (increase(promtail_dropped_entries_total{%s}[5m])) > 0", r.ours())
	behind := unread + " or " + dropped
	if agent == ComponentCollector {
		// What waits to be sent takes half of its room.
		own := r.ours(fmt.Sprintf("job=%q", agent))
		behind = fmt.Sprintf("max by (stack, namespace) (otelcol_exporter_queue_size{%s} / otelcol_exporter_queue_capacity{%s}) > 0.5", own, own)
	}
	return []rulefmt.Rule{
		r.rule(alert{
			name: alertAgentDown, severity: severityWarning, service: agent, wait: 2 * time.Minute,
			expr:        fmt.Sprintf("absent(up{%s} == 1)", r.ours(fmt.Sprintf("job=%q", agent))),
			summary:     "Nobody reads logs",
			description: "No log agent answers. Logs are kept by the containers and read later, unless they are rotated away; the gateway's requests are not counted meanwhile.",
			dashboard:   dashboardLogs,
		}),
		r.rule(alert{
			name: alertAgentBehind, severity: severityWarning, service: agent, wait: 5 * time.Minute,
			expr:        behind,
			summary:     "Logs are read late, or dropped",
			description: "The log agent does not keep up, or Loki does not take what it sends.",
			dashboard:   dashboardLogs,
		}),
	}
}
