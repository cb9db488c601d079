package manifests

// of selects the series of the chosen stack and services.
const (
	ofStack    = `stack="$stack"`
	ofServices = `stack="$stack",service=~"$service"`
)

// requestBoards are about how well people are served.
func requestBoards() []board {
	choices := []variable{stackVariable, serviceVariable}
	return []board{
		{
			uid: dashboardLevels, title: "SLA and SLO", about: "Whether what is agreed is kept, and how much may still go wrong.",
			needs: []string{ComponentPrometheus}, variables: choices, panels: levelPanels(),
		},
		{
			uid: dashboardServices, title: "Services", about: "Rate, errors and durations of requests, by service.",
			needs: []string{ComponentPrometheus}, variables: choices, panels: servicePanels(),
		},
		{
			uid: dashboardGateway, title: "Gateway", about: "What comes in, and what becomes of it.",
			needs: []string{ComponentPrometheus, ComponentPromtail}, variables: []variable{stackVariable}, panels: gatewayPanels(),
		},
	}
}

func levelPanels() []panel {
	return []panel{
		{title: "Availability", about: "Requests that did not fail by the service's fault, over the window.", kind: kindStat, unit: "percent",
			queries: []query{{"availability_percentage{" + ofServices + "}", "{{service}}"}}},
		{title: "Error rate", about: "Requests that did, over the window.", kind: kindStat, unit: "percent",
			queries: []query{{"error_rate_percentage{" + ofServices + "}", "{{service}}"}}},
		{title: "Latency (p95)", about: "95 of 100 requests of the last 5 minutes took no longer.", kind: kindStat, unit: "s",
			queries: []query{{"latency_p95_seconds{" + ofServices + "}", "{{service}}"}}},
		{title: "Error budget left", about: "Of what the target allows to go wrong within the window; below 0, it is missed.", kind: kindStat, unit: "percent",
			queries: []query{{"error_budget_remaining_percent{" + ofServices + "}", "{{objective}}"}}},
		{title: "Error budget left, over time", unit: "percent",
			queries: []query{{"error_budget_remaining_percent{" + ofServices + "}", "{{objective}}"}}},
		{title: "Times worse than agreed", about: "Spans of 5 minutes within the window in which the service did worse than agreed.", unit: "none",
			queries: []query{{"sla_violations_total{" + ofServices + "}", "{{objective}}"}}},
		{title: "Requests that miss the target, by window", about: "Above the dashed budget, it is used up faster than it comes back.", unit: "percentunit", width: 24,
			queries: []query{
				{"slo:sli_error:ratio_rate5m{" + ofServices + "}", "{{objective}}, 5m"},
				{"slo:sli_error:ratio_rate1h{" + ofServices + "}", "{{objective}}, 1h"},
				{"slo:sli_error:ratio_rate6h{" + ofServices + "}", "{{objective}}, 6h"},
				{"1 - objective:target:ratio{" + ofServices + "}", "{{objective}}, budget"},
			}},
		{title: "Objectives", about: "What is agreed, as a part of requests.", kind: kindTable, unit: "percentunit",
			queries: []query{{"objective:agreed:ratio{" + ofServices + "}", ""}}},
	}
}

func servicePanels() []panel {
	rate := "http_requests_total{" + ofServices + "}[$__rate_interval]"
	buckets := "http_request_duration_seconds_bucket{" + ofServices + "}[$__rate_interval]"
	return []panel{
		{title: "Requests", unit: "reqps", queries: []query{{"sum by (service) (rate(" + rate + "))", "{{service}}"}}},
		{title: "Requests by code", unit: "reqps", queries: []query{{"sum by (service, code) (rate(" + rate + "))", "{{service}} {{code}}"}}},
		{title: "Errors", about: "Requests that failed by the service's fault.", unit: "percentunit",
			queries: []query{{"service:http_errors:ratio_rate5m{" + ofServices + "}", "{{service}}"}}},
		{title: "Durations", unit: "s", queries: []query{
			{"histogram_quantile(0.5, sum by (service, le) (rate(" + buckets + ")))", "{{service}}, half"},
			{"histogram_quantile(0.95, sum by (service, le) (rate(" + buckets + ")))", "{{service}}, 95 of 100"},
			{"histogram_quantile(0.99, sum by (service, le) (rate(" + buckets + ")))", "{{service}}, 99 of 100"},
		}},
		{title: "Pods that answer", unit: "none", queries: []query{{`sum by (service) (up{stack="$stack",service=~"$service"})`, "{{service}}"}}},
		{title: "Being answered", about: "Requests at this moment.", unit: "none",
			queries: []query{{"sum by (service) (http_requests_in_flight{" + ofServices + "})", "{{service}}"}}},
	}
}

func gatewayPanels() []panel {
	const ofGateway = `stack="$stack",service="gateway"`
	buckets := "http_request_duration_seconds_bucket{" + ofGateway + "}[$__rate_interval]"
	return []panel{
		{title: "Requests by code", unit: "reqps",
			queries: []query{{"sum by (code) (rate(http_requests_total{" + ofGateway + "}[$__rate_interval]))", "{{code}}"}}},
		{title: "Durations", unit: "s", queries: []query{
			{"histogram_quantile(0.5, sum by (le) (rate(" + buckets + ")))", "half"},
			{"histogram_quantile(0.95, sum by (le) (rate(" + buckets + ")))", "95 of 100"},
			{"histogram_quantile(0.99, sum by (le) (rate(" + buckets + ")))", "99 of 100"},
		}},
		{title: "Connections", unit: "none", queries: []query{
			{"nginx_connections_active{" + ofStack + "}", "open"},
			{"nginx_connections_reading{" + ofStack + "}", "reading"},
			{"nginx_connections_writing{" + ofStack + "}", "writing"},
			{"nginx_connections_waiting{" + ofStack + "}", "idle"},
		}},
		{title: "New connections", unit: "cps", queries: []query{
			{"rate(nginx_connections_accepted{" + ofStack + "}[$__rate_interval])", "taken"},
			{"rate(nginx_connections_accepted{" + ofStack + "}[$__rate_interval]) - rate(nginx_connections_handled{" + ofStack + "}[$__rate_interval])", "turned away"},
		}},
		{title: "What it says", about: "Requests that were refused or failed, and warnings of nginx.", kind: kindLogs, source: sourceLoki,
			queries: []query{{`{` + ofGateway + `} | json | level!="info"`, ""}}},
	}
}
