package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ObservabilityAddon watches a stack: its metrics, logs and traces, the objectives it is held to, the alerts that follow
// and the dashboards that show it all. One resource beside the stack; a namespace has one at most.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=addon;addons,categories=mockup
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Components",type=string,JSONPath=`.status.ready`
// +kubebuilder:printcolumn:name="Targets",type=string,JSONPath=`.status.targets`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches('^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$')`,fieldPath=`.metadata`,messageExpression=`'the name "' + self.metadata.name + '" must have at most 32 lower-case letters, digits and "-", begin with a letter and not end with "-"'`
// +kubebuilder:validation:XValidation:rule=`!self.metadata.name.matches('^[0-9a-f]+$')`,fieldPath=`.metadata`,messageExpression=`'the name "' + self.metadata.name + '" must not consist of the digits 0-9 and a-f alone, which Podman could take for an ID'`
type ObservabilityAddon struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what should watch.
	// +required
	Spec ObservabilityAddonSpec `json:"spec"`
	// status is what watches, as last observed.
	// +optional
	Status ObservabilityAddonStatus `json:"status,omitzero"`
}

// ObservabilityAddonList is a list of addons.
//
// +kubebuilder:object:root=true
type ObservabilityAddonList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ObservabilityAddon `json:"items"`
}

// ObservabilityAddonSpec is what should watch. Every part is there unless it is switched off.
//
// +kubebuilder:validation:XValidation:rule=`[[{'field': 'spec.metrics.expose.hostPort', 'port': string(self.?metrics.?enabled.orValue(true) ? self.?metrics.?expose.?hostPort.orValue(9090) : 0)}, {'field': 'spec.metrics.gatewayExporter.expose.hostPort', 'port': string(self.?metrics.?enabled.orValue(true) && self.?metrics.?gatewayExporter.?enabled.orValue(true) ? self.?metrics.?gatewayExporter.?expose.?hostPort.orValue(9113) : 0)}, {'field': 'spec.alerting.expose.hostPort', 'port': string(self.?alerting.?enabled.orValue(true) ? self.?alerting.?expose.?hostPort.orValue(9093) : 0)}, {'field': 'spec.logs.expose.hostPort', 'port': string(self.?logs.?enabled.orValue(true) ? self.?logs.?expose.?hostPort.orValue(3100) : 0)}, {'field': 'spec.tracing.expose.hostPort', 'port': string(self.?tracing.?enabled.orValue(true) ? self.?tracing.?expose.?hostPort.orValue(16686) : 0)}, {'field': 'spec.dashboards.expose.hostPort', 'port': string(self.?dashboards.?enabled.orValue(true) ? self.?dashboards.?expose.?hostPort.orValue(3000) : 0)}].filter(p, p.port != '0') + (self.?tracing.?enabled.orValue(true) && has(self.tracing) && has(self.tracing.ingest) ? self.tracing.ingest.map(i, {'field': 'spec.tracing.ingest of ' + i.protocol, 'port': string(i.hostPort)}) : [])].all(l, l.all(p, l.exists_one(q, q.port == p.port)))`,message=`host ports must differ from each other`,messageExpression=`[[{'field': 'spec.metrics.expose.hostPort', 'port': string(self.?metrics.?enabled.orValue(true) ? self.?metrics.?expose.?hostPort.orValue(9090) : 0)}, {'field': 'spec.metrics.gatewayExporter.expose.hostPort', 'port': string(self.?metrics.?enabled.orValue(true) && self.?metrics.?gatewayExporter.?enabled.orValue(true) ? self.?metrics.?gatewayExporter.?expose.?hostPort.orValue(9113) : 0)}, {'field': 'spec.alerting.expose.hostPort', 'port': string(self.?alerting.?enabled.orValue(true) ? self.?alerting.?expose.?hostPort.orValue(9093) : 0)}, {'field': 'spec.logs.expose.hostPort', 'port': string(self.?logs.?enabled.orValue(true) ? self.?logs.?expose.?hostPort.orValue(3100) : 0)}, {'field': 'spec.tracing.expose.hostPort', 'port': string(self.?tracing.?enabled.orValue(true) ? self.?tracing.?expose.?hostPort.orValue(16686) : 0)}, {'field': 'spec.dashboards.expose.hostPort', 'port': string(self.?dashboards.?enabled.orValue(true) ? self.?dashboards.?expose.?hostPort.orValue(3000) : 0)}].filter(p, p.port != '0') + (self.?tracing.?enabled.orValue(true) && has(self.tracing) && has(self.tracing.ingest) ? self.tracing.ingest.map(i, {'field': 'spec.tracing.ingest of ' + i.protocol, 'port': string(i.hostPort)}) : [])].map(l, 'host ports must differ from each other; there are ' + l.filter(p, !l.exists_one(q, q.port == p.port)).map(p, p.field + ' ' + p.port).join(', '))[0]`
// +kubebuilder:validation:XValidation:rule=`!has(self.objectives) || self.objectives.size() == 0 || self.?metrics.?enabled.orValue(true)`,fieldPath=`.objectives`,message=`need metrics, which are switched off`
// +kubebuilder:validation:XValidation:rule=`!has(self.objectives) || !self.objectives.exists(o, o.service == 'gateway') || (self.?logs.?enabled.orValue(true) && self.?logs.?agent.orValue('Promtail') == 'Promtail')`,fieldPath=`.objectives`,message=`of the gateway need logs by Promtail, which counts its requests`
// +kubebuilder:validation:XValidation:rule=`!has(self.objectives) || !self.?metrics.?enabled.orValue(true) || [self.?metrics.?retention.orValue('31d')].filter(r, r.matches('^([1-9][0-9]{0,4}[hd]|[1-9][0-9]{0,3}w)$')).map(r, int(r.substring(0, r.size() - 1)) * {'h': 1, 'd': 24, 'w': 168}[r.substring(r.size() - 1)]).all(h, self.objectives.all(o, h >= {'7d': 168, '28d': 672, '30d': 720}[o.?window.orValue('30d')]))`,fieldPath=`.metrics.retention`,message=`must be at least the window of each objective`,messageExpression=`'must be at least the window of each objective; %s is less than that of %s'.format([self.?metrics.?retention.orValue('31d'), [self.?metrics.?retention.orValue('31d')].filter(r, r.matches('^([1-9][0-9]{0,4}[hd]|[1-9][0-9]{0,3}w)$')).map(r, int(r.substring(0, r.size() - 1)) * {'h': 1, 'd': 24, 'w': 168}[r.substring(r.size() - 1)]).map(h, self.objectives.filter(o, h < {'7d': 168, '28d': 672, '30d': 720}[o.?window.orValue('30d')]).map(o, o.name))[0]])`
type ObservabilityAddonSpec struct {
	// stackRef names the stack that is watched, in the addon's namespace. It can not be changed later.
	// +required
	// +kubebuilder:validation:XValidation:rule=`self.name == oldSelf.name`,reason=FieldValueForbidden,message=`can not be changed; remove the addon and add one for the other stack`,messageExpression=`'can not be changed; it was ' + oldSelf.name`
	StackRef StackRef `json:"stackRef"`
	// metrics are collected from the services, the gateway and the addon itself, and kept by Prometheus.
	// +optional
	Metrics Metrics `json:"metrics,omitzero"`
	// logs of every container of the stack and the addon, kept by Loki.
	// +optional
	Logs Logs `json:"logs,omitzero"`
	// tracing of requests from service to service, kept by Jaeger.
	// +optional
	Tracing Tracing `json:"tracing,omitzero"`
	// alerting sends alerts to people, by Alertmanager.
	// +optional
	Alerting Alerting `json:"alerting,omitzero"`
	// dashboards show it all, in Grafana.
	// +optional
	Dashboards Dashboards `json:"dashboards,omitzero"`
	// objectives that services are held to. Each becomes recording rules, alerts and a row of the SLA dashboard.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Objectives []Objective `json:"objectives,omitempty"`
}

// StackRef names a stack of the same namespace.
type StackRef struct {
	// name of the MockupStack.
	// +required
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')`,message=`must be the name of a stack: lower-case letters, digits and "-", beginning with a letter and not ending with "-"`
	Name string `json:"name"`
}

// ObservabilityAddonStatus is what watches, as last observed.
type ObservabilityAddonStatus struct {
	// observedGeneration is the metadata.generation that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Ready, Reconciling and Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ready components, of those that should be, e.g. "7/7".
	// +optional
	Ready string `json:"ready,omitempty"`
	// targets that Prometheus reaches, of those that it should, e.g. "11/11".
	// +optional
	Targets string `json:"targets,omitempty"`
	// lastLogTime is when the newest line that Loki has was written.
	// +optional
	LastLogTime *metav1.Time `json:"lastLogTime,omitempty"`
	// lastTraceTime is when the newest trace that Jaeger has began.
	// +optional
	LastTraceTime *metav1.Time `json:"lastTraceTime,omitempty"`
	// components is the state of each program.
	// +optional
	// +listType=map
	// +listMapKey=name
	Components []ComponentStatus `json:"components,omitempty"`
	// refusals are the fields that the backend can't honour as written, or honours with a caveat.
	// +optional
	// +listType=atomic
	Refusals []Refusal `json:"refusals,omitempty"`
}

// ComponentStatus is the state of one program of the addon.
type ComponentStatus struct {
	// name of the component, e.g. prometheus.
	Name string `json:"name"`
	// phase is one of Pending, Progressing, Ready, NotReady, Failed, Terminating.
	Phase string `json:"phase"`
	// ready replicas of those wanted, e.g. "1/1".
	// +optional
	Ready string `json:"ready,omitempty"`
	// image that runs, after the image map.
	// +optional
	Image string `json:"image,omitempty"`
	// version that the program itself reports to Prometheus.
	// +optional
	Version string `json:"version,omitempty"`
	// restarts of the containers of the current pods.
	// +optional
	Restarts int32 `json:"restarts,omitempty"`
	// endpoint under which it is reached: from the host where it is exposed, else inside the stack.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`
	// reason why it is not ready.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message for a person.
	// +optional
	Message string `json:"message,omitempty"`
}
