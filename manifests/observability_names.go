package manifests

import (
	"slices"

	"mockup.dev/mockup/api/v1alpha1"
)

// Names of the components of an addon: those of their Services and main containers, too, so that everybody knows them by
// these names, as http://loki:3100.
const (
	ComponentPrometheus      = "prometheus"
	ComponentAlertmanager    = "alertmanager"
	ComponentLoki            = "loki"
	ComponentPromtail        = "promtail"
	ComponentCollector       = "otel-collector"
	ComponentJaeger          = "jaeger"
	ComponentGrafana         = "grafana"
	ComponentGatewayExporter = "gateway-exporter"
)

// Ports of the components.
const (
	PortPrometheus      = 9090
	PortAlertmanager    = 9093
	PortLoki            = 3100
	PortPromtail        = 9080
	PortCollector       = 8888 // of its own metrics
	PortJaegerQuery     = 16686
	PortJaegerMetrics   = 8888
	PortGrafana         = 3000
	PortGatewayExporter = 9113
)

// KeyAdminPassword of the Secret with the password of Grafana's user admin.
const KeyAdminPassword = "password"

// GrafanaAdminName is the name of the Secret with that password when the operator makes it.
func GrafanaAdminName(addon string) string { return WorkloadName(addon, ComponentGrafana) + "-admin" }

// PodsName is the name of the headless Service that leads to every pod of a service or component, ready or not: that is how
// Prometheus finds them.
func PodsName(component string) string { return component + "-pods" }

// ServiceNames are the names of the Services of a service of a stack: its own, and with a metricsPort PodsName.
func ServiceNames(s *v1alpha1.Service) []string {
	if s.MetricsPort == 0 {
		return []string{s.Name}
	}
	return []string{s.Name, PodsName(s.Name)}
}

// host is the name of a component wherever the resolver knows no search domains.
func (o Owner) host(service string) string { return service + "." + o.Namespace + ".svc.cluster.local" }

// ingressName is the name of the NetworkPolicy that lets the outside in to a component of an addon.
func ingressName(addon, component string) string { return WorkloadName(addon, component) + "-ingress" }

// componentOrder is that in which components are rendered and reported.
var componentOrder = []string{
	ComponentPrometheus, ComponentAlertmanager, ComponentLoki, ComponentPromtail, ComponentCollector, ComponentJaeger, ComponentGrafana, ComponentGatewayExporter,
}

// components that are switched on.
func (r *addonRenderer) components() []string {
	return slices.DeleteFunc(slices.Clone(componentOrder), func(name string) bool { return !r.wants(name) })
}

// wants tells whether a component is switched on.
func (r *addonRenderer) wants(name string) bool {
	spec := &r.addon.Spec
	switch name {
	case ComponentPrometheus:
		return on(spec.Metrics.Enabled)
	case ComponentAlertmanager:
		return on(spec.Alerting.Enabled)
	case ComponentLoki:
		return on(spec.Logs.Enabled)
	case ComponentPromtail:
		return on(spec.Logs.Enabled) && spec.Logs.Agent != v1alpha1.AgentOpenTelemetryCollector
	case ComponentCollector:
		return on(spec.Logs.Enabled) && spec.Logs.Agent == v1alpha1.AgentOpenTelemetryCollector
	case ComponentJaeger:
		return on(spec.Tracing.Enabled)
	case ComponentGrafana:
		return on(spec.Dashboards.Enabled)
	case ComponentGatewayExporter:
		// Of a stack that is not known it is assumed that it has a gateway.
		known := len(r.stack.Spec.Networks) > 0
		return on(spec.Metrics.Enabled) && on(spec.Metrics.GatewayExporter.Enabled) && (!known || r.stack.Spec.Gateway != nil)
	}
	return false
}

// on tells whether a part is wanted, which it is unless it is said otherwise.
func on(enabled *bool) bool { return enabled == nil || *enabled }

// Unique names of the dashboards, by which links find them.
const (
	dashboardLevels     = "mockup-levels"
	dashboardServices   = "mockup-services"
	dashboardGateway    = "mockup-gateway"
	dashboardContainers = "mockup-containers"
	dashboardLogs       = "mockup-logs"
	dashboardTraces     = "mockup-traces"
	dashboardAlerts     = "mockup-alerts"
	dashboardOperator   = "mockup-operator"
)
