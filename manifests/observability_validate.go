package manifests

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"mockup.dev/mockup/api/v1alpha1"
)

// validateAddon checks what rendering relies on, as validateStack does for a stack.
func validateAddon(a *v1alpha1.ObservabilityAddon, stack *v1alpha1.MockupStack) error {
	v := &addonValidator{
		validator: validator{stack: stack, names: map[string]string{}}, addon: a, ports: map[int32][]takenPort{},
	}
	v.owner()
	v.periods()
	v.objectives()
	v.receivers()
	v.stackPorts()
	if len(v.errs) == 0 { // else programs can't be told what to do
		for _, p := range newAddonRenderer(a, ObservabilityFacts{Stack: stack}).programs() {
			v.program(&p)
		}
	}
	for _, ref := range ObservabilityReferences(a) {
		v.reference(ref)
	}
	return errors.Join(v.errs...)
}

type addonValidator struct {
	validator
	addon *v1alpha1.ObservabilityAddon
	ports map[int32][]takenPort
}

// takenPort is a port of the host with what it is for.
type takenPort struct{ ip, field string }

func (v *addonValidator) owner() {
	owner := ObservabilityOwner(v.addon)
	v.serviceName("metadata.name", owner.Name)
	if reasons := validation.IsDNS1123Label(owner.Namespace); len(reasons) > 0 {
		v.reject("metadata.namespace", owner.Namespace, reasons[0])
	}
	if n := len(owner.String()); n > maxLabel {
		v.reject("metadata.name", owner.Name, fmt.Sprintf("is %d characters too long: with its namespace it makes a label of at most %d", n-maxLabel, maxLabel))
	}
	for _, s := range v.stack.Spec.Services {
		if slices.Contains(componentOrder, s.Name) {
			v.reject("spec.stackRef.name", v.stack.Name, fmt.Sprintf("has a service %s itself, which is a name of the addon's", s.Name))
		}
	}
	if v.stack.Name != v.addon.Spec.StackRef.Name {
		v.reject("spec.stackRef.name", v.addon.Spec.StackRef.Name, "is not "+v.stack.Name)
	}
}

// Patterns of what is put into configuration as it is.
var (
	lessThanADay    = regexp.MustCompile(`^([1-9]|1[0-9]|2[0-3])h$`)
	intervalPattern = regexp.MustCompile(`^([1-9][0-9]?|1[01][0-9]|120)s$|^[12]m$`)
	ratioPattern    = regexp.MustCompile(`^(0|0[.][0-9]{1,4}|1|1[.]0{1,4})$`)
)

func (v *addonValidator) periods() {
	spec := v.addon.Spec
	v.matches("spec.metrics.retention", spec.Metrics.Retention, periodPattern, notAPeriod)
	v.matches("spec.logs.retention", spec.Logs.Retention, periodPattern, notAPeriod)
	if lessThanADay.MatchString(spec.Logs.Retention) {
		v.reject("spec.logs.retention", spec.Logs.Retention, "is less than 24h, and Loki keeps whole days")
	}
	v.matches("spec.tracing.retention", spec.Tracing.Retention, periodPattern, notAPeriod)
	v.matches("spec.metrics.scrapeInterval", spec.Metrics.ScrapeInterval, intervalPattern, "is not from 1s to 120s, e.g. 15s")
	v.matches("spec.tracing.samplingRatio", spec.Tracing.SamplingRatio, ratioPattern, "is not from 0 to 1 with at most four decimals, e.g. 0.25")
	if agent := spec.Logs.Agent; agent != "" && agent != v1alpha1.AgentPromtail && agent != v1alpha1.AgentOpenTelemetryCollector {
		v.reject("spec.logs.agent", string(agent), "is neither Promtail nor OpenTelemetryCollector")
	}
}

func (v *addonValidator) matches(field, value string, pattern *regexp.Regexp, reason string) {
	if value != "" && !pattern.MatchString(value) {
		v.reject(field, value, reason)
	}
}

// fieldOf a component in the specification.
var fieldOf = map[string]string{
	ComponentPrometheus: "spec.metrics", ComponentAlertmanager: "spec.alerting", ComponentLoki: "spec.logs",
	ComponentPromtail: "spec.logs.agentContainer", ComponentCollector: "spec.logs.agentContainer", ComponentJaeger: "spec.tracing", ComponentGrafana: "spec.dashboards",
	ComponentGatewayExporter: "spec.metrics.gatewayExporter",
}

func (v *addonValidator) program(p *program) {
	field := fieldOf[p.name]
	if p.image != "" {
		v.image(field+".image", p.image)
	}
	v.resources(field+".resources", p.resources)
	if p.storage != nil {
		v.positive(field+".storage.size", &p.storage.size)
		if policy := p.storage.reclaim; policy != v1alpha1.ReclaimRetain && policy != v1alpha1.ReclaimDelete {
			v.reject(field+".storage.reclaimPolicy", string(policy), "is neither Retain nor Delete")
		}
	}
	for i, port := range p.ports {
		at := field + ".expose"
		if i > 0 {
			at = ingestField(&v.addon.Spec.Tracing, port.Name)
		}
		if port.HostPort != 0 {
			v.exposed(at, port)
		}
	}
}

// exposed claims a port of the host.
func (v *addonValidator) exposed(field string, p corev1.ContainerPort) {
	v.port(field+".hostPort", p.HostPort)
	if _, err := netip.ParseAddr(p.HostIP); err != nil {
		v.reject(field+".hostIP", p.HostIP, "is no IP address")
	}
	v.takePort(field, p.HostPort, p.HostIP)
}

func (v *addonValidator) takePort(field string, port int32, ip string) {
	if ip == "0.0.0.0" || ip == "::" {
		ip = ""
	}
	for _, t := range v.ports[port] {
		if overlap(t.ip, ip) {
			v.reject(field+".hostPort", fmt.Sprint(port), "is also the port of "+t.field)
		}
	}
	v.ports[port] = append(v.ports[port], takenPort{ip, field})
}

// stackPorts are those of the gateway.
func (v *addonValidator) stackPorts() {
	g := v.stack.Spec.Gateway
	if g == nil {
		return
	}
	v.takePort("the stack's spec.gateway.https", g.HTTPS.HostPort, g.HTTPS.HostIP)
	if g.HTTP != nil {
		v.takePort("the stack's spec.gateway.http", g.HTTP.HostPort, g.HTTP.HostIP)
	}
}
