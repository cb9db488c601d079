package manifests

// placeBoards are about what things run in, and what they leave behind.
func placeBoards() []board {
	return []board{
		{
			uid: dashboardContainers, title: "Containers and volumes", about: "What each container uses of what it may have, and how full volumes are.",
			needs: []string{ComponentPrometheus}, variables: []variable{stackVariable}, panels: containerPanels(),
		},
		{
			uid: dashboardLogs, title: "Logs", about: "What programs say. A line with a trace_id leads to its trace.",
			needs: []string{ComponentLoki},
			variables: []variable{
				{name: "stack", label: "Stack", source: sourceLoki, query: lokiValues("stack", "")},
				{name: "service", label: "Service", source: sourceLoki, query: lokiValues("service", `{stack="$stack"}`), several: true},
			},
			panels: logPanels(),
		},
		{
			uid: dashboardTraces, title: "Traces", about: "Requests on their way through services. A span leads to the lines that were logged meanwhile.",
			needs: []string{ComponentJaeger, ComponentPrometheus}, variables: []variable{
				stackVariable,
				{name: "service", label: "Service", source: sourcePrometheus, query: `label_values(http_requests_in_flight{stack="$stack"}, service)`},
			},
			panels: tracePanels(),
		},
	}
}

// lokiValues asks Loki for the values of a label.
func lokiValues(label, stream string) map[string]any {
	return map[string]any{"label": label, "stream": stream, "type": 1, "refId": "values"}
}

// inStack keeps those containers and volumes that are in the namespace of the chosen stack: their series do not know stacks.
const inStack = ` * on (namespace) group_left () max by (namespace) (up{stack="$stack"} * 0 + 1)`

func containerPanels() []panel {
	return []panel{
		{title: "CPU", about: "Cores.", unit: "none",
			queries: []query{{`sum by (namespace, container) (rate(container_cpu_usage_seconds_total{container!=""}[$__rate_interval]))` + inStack, "{{container}}"}}},
		{title: "Memory", unit: "bytes",
			queries: []query{{`sum by (namespace, container) (container_memory_working_set_bytes{container!=""})` + inStack, "{{container}}"}}},
		{title: "Memory, of what may be used", unit: "percentunit",
			queries: []query{{`max by (namespace, container) (container_memory_working_set_bytes{container!=""} / (container_spec_memory_limit_bytes > 0))` + inStack, "{{container}}"}}},
		{title: "Starts within the last hour", unit: "none",
			queries: []query{{`sum by (namespace, container) (changes(container_start_time_seconds{container!=""}[1h]))` + inStack, "{{container}}"}}},
		{title: "Volumes, of their size", unit: "percentunit",
			queries: []query{{`max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_used_bytes / kubelet_volume_stats_capacity_bytes)` + inStack, "{{persistentvolumeclaim}}"}}},
		{title: "Volumes", unit: "bytes",
			queries: []query{{`max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_used_bytes)` + inStack, "{{persistentvolumeclaim}}"}}},
	}
}

func logPanels() []panel {
	return []panel{
		{title: "Lines by service", source: sourceLoki, unit: "none",
			queries: []query{{"sum by (service) (count_over_time({" + ofServices + "} [$__auto]))", "{{service}}"}}},
		{title: "Errors by service", source: sourceLoki, unit: "none",
			queries: []query{{"sum by (service) (count_over_time({" + ofServices + `} | json | status="error" [$__auto]))`, "{{service}}"}}},
		{title: "Errors", kind: kindLogs, source: sourceLoki, height: 10,
			queries: []query{{"{" + ofServices + `} | json | status="error"`, ""}}},
		{title: "All lines", kind: kindLogs, source: sourceLoki,
			queries: []query{{"{" + ofServices + "}", ""}}},
	}
}

func tracePanels() []panel {
	return []panel{
		{title: "Newest traces", kind: kindTable, source: sourceJaeger, height: 12, queries: []query{{"search", ""}}},
		{title: "Who calls whom", kind: kindNodes, source: sourceJaeger, queries: []query{{"dependencyGraph", ""}}},
		{title: "Spans taken in", unit: "ops",
			queries: []query{{"sum (rate(otelcol_receiver_accepted_spans_total{" + ofStack + "}[$__rate_interval]))", "taken in"}}},
		{title: "Spans sent on to storage", unit: "ops",
			queries: []query{{"sum (rate(otelcol_exporter_sent_spans_total{" + ofStack + "}[$__rate_interval]))", "stored"}}},
	}
}
