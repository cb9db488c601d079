package api_test

import "slices"

var addons = &kind{
	name: "addon", resource: "observabilityaddons", base: addonBase,
	cases: func() []refusal {
		return slices.Concat(addonCases(), componentCases(), objectiveCases(), receiverCases(), alertRouteCases(), dashboardCases())
	},
	lists: addonListCases, company: addonCompany, oneByRule: func(string) bool { return false },
	page: "observabilityaddon.md", head: addonHead,
}

const addonHead = `# ObservabilityAddon

` + "`mockup.dev/v1alpha1`" + `, namespaced; short names ` + "`addon`, `addons`" + `.

This page is generated from the custom resource definition, as is what ` + "`kubectl explain observabilityaddon.spec`" + ` prints.
What stands under *Rules* is checked by the API server: ` + "`kubectl apply`" + ` refuses anything else at once.
An example is config/samples/observability.yaml.
`

// addonBase is the addon that every case changes.
const addonBase = `
apiVersion: mockup.dev/v1alpha1
kind: ObservabilityAddon
metadata:
  name: addon
  namespace: default
spec:
  stackRef: {name: stack}
  metrics: {storage: {size: 1Gi}}
  objectives:
  - {name: availability, service: web, availability: {agreed: "99.9", target: "99.95"}}
  - {name: errors, service: web, errorRate: {agreed: "0.1", target: "0.01"}}
  - {name: latency, service: gateway, latency: {percentile: 95, agreed: 1s, target: 500ms}}
  alerting:
    receivers:
    - {name: on-call, pagerDuty: {routingKeySecret: {name: pagerduty, key: routing-key}}}
    - {name: alerts, slack: {channel: "#alerts", webhookSecret: {name: slack, key: webhook-url}}}
    - {name: mail, email: {to: [ann@example.com], from: alerts@example.com, smarthost: "mail.example.com:587"}}
    routes:
    - {match: {severity: critical}, receivers: [on-call]}
  dashboards:
    users: [{login: ann, passwordSecret: {name: ann, key: password}}]
    teams: [{name: On call, members: [ann]}]
`

func addonCases() []refusal {
	return []refusal{
		{
			name:     "addon name is a short label",
			accepted: one("metadata.name", "a23456789-123456789-123456789-12"),
			refused:  one("metadata.name", "a23456789-123456789-123456789-123"),
			field:    "metadata", reason: `the name "a23456789-123456789-123456789-123" must have at most 32`,
		},
		{
			name:     "addon name is not hexadecimal",
			accepted: one("metadata.name", "cafe-1"),
			refused:  one("metadata.name", "cafe"),
			field:    "metadata", reason: `the name "cafe" must not consist of the digits`,
		},
		values("watched stack has a name", "spec.stackRef.name", "my-stack", "my.stack", "must be the name of a stack"),
		values("watched stack stays", "spec.stackRef.name", "stack", "other", "it was stack").at("spec.stackRef").after(),
		values("host ports differ", "spec.metrics.expose.hostPort", "9091", "3000",
			"there are spec.metrics.expose.hostPort 3000, spec.dashboards.expose.hostPort 3000").at("spec"),
		values("host ports of ways in differ", "spec.tracing.ingest", "[{protocol: OTLPHTTP, hostPort: 4318}]",
			"[{protocol: OTLPHTTP, hostPort: 9090}]", "there are spec.metrics.expose.hostPort 9090, spec.tracing.ingest of OTLPHTTP 9090").at("spec"),
		values("a way in has a port to itself", "spec.tracing.ingest", "[{protocol: OTLPHTTP, hostPort: 1}, {protocol: OTLPGRPC, hostPort: 2}]",
			"[{protocol: OTLPHTTP, hostPort: 1}, {protocol: OTLPGRPC, hostPort: 1}]", "spec.tracing.ingest of OTLPHTTP 1, spec.tracing.ingest of OTLPGRPC 1").at("spec"),
		values("objectives need metrics", "spec.metrics.enabled", "true", "false", "need metrics").at("spec.objectives"),
		values("objectives of the gateway need logs", "spec.logs.enabled", "true", "false", "need logs").at("spec.objectives"),
		values("objectives of the gateway need Promtail", "spec.logs.agent", "Promtail", "OpenTelemetryCollector", "by Promtail").at("spec.objectives"),
	}
}

func componentCases() (cases []refusal) {
	const period, image = "whole number of hours, days or weeks", "docker.io/a/b:v1"
	for _, path := range []string{"spec.metrics", "spec.logs", "spec.tracing", "spec.alerting", "spec.dashboards", "spec.metrics.gatewayExporter"} {
		cases = append(cases,
			values(path+": image is a reference", path+".image", image, "docker.io/a b", imageReason),
			values(path+": hostIP is an address", path+".expose.hostIP", "::1", "localhost", "must be an IP address"),
		)
		cases = append(cases, amountCases(path+".resources")...)
	}
	cases = append(cases, values("agent's image is a reference", "spec.logs.agentContainer.image", image, "docker.io/a b", imageReason))
	cases = append(cases, amountCases("spec.logs.agentContainer.resources")...)
	for _, path := range []string{"spec.metrics", "spec.logs", "spec.tracing", "spec.alerting", "spec.dashboards"} {
		size := path + ".storage.size"
		cases = append(cases,
			values(path+": size has a unit", size, "1Gi", "5", "at least 1Mi"),
			values(path+": size does not shrink", size, "1025Mi", "1023Mi", "it was 1Gi").after(size+"=1Gi"),
		)
	}
	return append(cases,
		values("scrapes are a moment apart", "spec.metrics.scrapeInterval", "120s", "121s", "from 1s to 120s"),
		values("scrapes have a unit", "spec.metrics.scrapeInterval", "2m", "'15'", "from 1s to 120s"),
		values("metrics are kept for some time", "spec.metrics.retention", "5w", "-1d", period),
		values("metrics are kept as long as can be counted", "spec.metrics.retention", "9999w", "10000w", "at most 99999h, 99999d or 9999w"),
		values("logs are kept as long as can be counted", "spec.logs.retention", "9999w", "99999w", "at most 99999h, 99999d or 9999w"),
		values("traces are kept as long as can be counted", "spec.tracing.retention", "99999d", "100000d", "at most 99999h, 99999d or 9999w"),
		values("metrics cover the windows of objectives", "spec.metrics.retention", "30d", "719h", `719h is less than that of ["availability", "errors", "latency"]`),
		refusal{
			name:     "metrics cover a shorter window",
			accepted: edits{"spec.metrics.retention=7d", `spec.objectives=[{name: a, service: web, window: 7d, errorRate: {agreed: "1"}}]`},
			refused:  edits{"spec.metrics.retention=6d", `spec.objectives=[{name: a, service: web, window: 7d, errorRate: {agreed: "1"}}]`},
			field:    "spec.metrics.retention", reason: `6d is less than that of ["a"]`,
		},
		values("logs are kept for some time", "spec.logs.retention", "24h", "0d", period),
		values("logs are kept for a day", "spec.logs.retention", "1d", "23h", "at least 24h"),
		values("traces are kept for some time", "spec.tracing.retention", "12h", "1y", period),
		values("samples are a part", "spec.tracing.samplingRatio", "'0.0001'", "'1.1'", "from 0 to 1"),
		values("samples are not negative", "spec.tracing.samplingRatio", "'0'", "'-0.1'", "from 0 to 1"),
		values("a way in has an address", "spec.tracing.ingest[0]", "{protocol: OTLPGRPC, hostPort: 4317, hostIP: 0.0.0.0}",
			"{protocol: OTLPGRPC, hostPort: 4317, hostIP: any}", "must be an IP address").at("spec.tracing.ingest[0].hostIP"),
	)
}

func objectiveCases() []refusal {
	const objective = "spec.objectives[0]"
	availability, errors, latency := objective+".availability", "spec.objectives[1].errorRate", "spec.objectives[2].latency"
	return []refusal{
		values("an objective is one", objective, "{name: a, service: web, latency: {agreed: 1s}}", "{name: a, service: web}", "exactly one of"),
		values("an objective is not two", objective, "{name: a, service: web, latency: {agreed: 1s}}",
			`{name: a, service: web, latency: {agreed: 1s}, availability: {agreed: "99"}}`, "exactly one of"),
		values("an objective has a name", objective+".name", "a-1", "1-a", "begin with a letter"),
		values("an objective has a service", objective+".service", "web-2", "Web", "must be the name of a service"),
		values("availability is below 100", availability, `{agreed: "99.9999"}`, `{agreed: "100"}`, "below 100").at(availability + ".agreed"),
		values("availability is above 0", availability, `{agreed: "0.1"}`, `{agreed: "0.0"}`, "above 0").at(availability + ".agreed"),
		values("availability is a number", availability+".target", "'99.95'", "'99,95'", "below 100"),
		values("availability that is aimed at is stricter", availability+".target", "'99.9'", "'99.8'", "at least what is agreed, 99.9"),
		values("error rate is a number", errors, `{agreed: "0.1"}`, `{agreed: "-0.1"}`, "below 100").at(errors + ".agreed"),
		values("error rate is not nothing", errors+".target", "'0.0001'", "'0'", "above 0"),
		values("error rate that is aimed at is stricter", errors+".target", "'0.1'", "'0.2'", "at most what is agreed, 0.1"),
		values("latency is a time", "spec.objectives[2]", "{name: l, service: web, latency: {agreed: 1h}}",
			"{name: l, service: web, latency: {agreed: 61m}}", "from 1ms to 1h").at(latency + ".agreed"),
		values("latency has a unit", latency+".agreed", "1s", "'1'", "from 1ms to 1h"),
		values("latency that is aimed at is a time", "spec.objectives[2]", "{name: l, service: web, latency: {agreed: 1s, target: 1ms}}",
			"{name: l, service: web, latency: {agreed: 1s, target: 0s}}", "from 1ms to 1h").at("spec.objectives[2].latency.target"),
		values("latency that is aimed at is stricter", latency+".target", "1s", "5s", "at most what is agreed, 1s"),
		values("latency of the gateway is counted", latency+".target", "250ms", "200ms", "must be one of 5ms").at(latency),
	}
}
