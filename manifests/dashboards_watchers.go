package manifests

// watcherBoards are about those who watch and those who act.
func watcherBoards() []board {
	return []board{
		{
			uid: dashboardAlerts, title: "Alerts", about: "What fires, and whether those who watch are well.",
			needs: []string{ComponentPrometheus}, variables: []variable{stackVariable}, panels: alertPanels(),
		},
		{
			uid: dashboardOperator, title: "Operator", about: "What the operator does, and how long it takes.",
			needs: []string{ComponentPrometheus}, variables: []variable{stackVariable}, panels: operatorPanels(),
		},
	}
}

func alertPanels() []panel {
	return []panel{
		{title: "Firing now", kind: kindTable, unit: "none",
			queries: []query{{"ALERTS{" + ofStack + `,alertstate="firing"}`, ""}}},
		{title: "Firing, by alert", unit: "none",
			queries: []query{{"sum by (alertname, service) (ALERTS{" + ofStack + `,alertstate="firing"})`, "{{alertname}} {{service}}"}}},
		{title: "Targets that can be read", unit: "none", queries: []query{
			{"sum(up{" + ofStack + "})", "read"},
			{"count(up{" + ofStack + "})", "all"},
		}},
		{title: "Messages", about: "That Alertmanager handed over, or could not.", unit: "none", queries: []query{
			{"sum by (integration) (increase(alertmanager_notifications_total{" + ofStack + "}[$__rate_interval]))", "{{integration}}"},
			{"sum by (integration) (increase(alertmanager_notifications_failed_total{" + ofStack + "}[$__rate_interval]))", "{{integration}}, failed"},
		}},
		{title: "Time to evaluate rules", unit: "s",
			queries: []query{{"prometheus_rule_group_last_duration_seconds{" + ofStack + "}", "{{rule_group}}"}}},
		{title: "Memory of those who watch", unit: "bytes",
			queries: []query{{"sum by (service) (process_resident_memory_bytes{" + ofStack + `,service=~"prometheus|alertmanager|loki|promtail|jaeger|grafana|gateway-exporter"})`, "{{service}}"}}},
		{title: "Samples", about: "That Prometheus took in.", unit: "ops",
			queries: []query{{"sum(rate(prometheus_tsdb_head_samples_appended_total{" + ofStack + "}[$__rate_interval]))", "samples"}}},
	}
}

func operatorPanels() []panel {
	const job = `job="mockup-operator",stack="$stack"`
	return []panel{
		{title: "Passes", unit: "ops",
			queries: []query{{"sum by (controller, result) (rate(controller_runtime_reconcile_total{" + job + "}[$__rate_interval]))", "{{controller}}, {{result}}"}}},
		{title: "Failed passes", unit: "ops",
			queries: []query{{"sum by (controller) (rate(controller_runtime_reconcile_errors_total{" + job + "}[$__rate_interval]))", "{{controller}}"}}},
		{title: "Time of a pass", unit: "s",
			queries: []query{{"histogram_quantile(0.95, sum by (controller, le) (rate(controller_runtime_reconcile_time_seconds_bucket{" + job + "}[$__rate_interval])))", "{{controller}}, 95 of 100"}}},
		{title: "Waiting", about: "Resources whose turn it will be.", unit: "none",
			queries: []query{{"sum by (name) (workqueue_depth{" + job + "})", "{{name}}"}}},
		{title: "Memory", unit: "bytes", queries: []query{{"process_resident_memory_bytes{" + job + "}", "operator"}}},
		{title: "CPU", about: "Cores.", unit: "none", queries: []query{{"rate(process_cpu_seconds_total{" + job + "}[$__rate_interval])", "operator"}}},
	}
}
