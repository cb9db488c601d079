package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// Component is what can be said of each program of an addon.
type Component struct {
	// enabled is false where this part is not wanted; the default is true. Its data stays when it is switched off.
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`
	// image of the program, and so its version; the default is the one of mockup's catalogue.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?/)?[a-z0-9]+(([.]|_{1,2}|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_{1,2}|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$')`,message=`must be an image reference without scheme or spaces, e.g. docker.io/library/nginx:1.29`
	Image string `json:"image,omitempty"`
	// resources of the container; the default is enough for a small stack.
	// +optional
	Resources *Resources `json:"resources,omitempty"`
	// expose says where the program is reached on the host; the default is its own port on 127.0.0.1.
	// +optional
	Expose Exposure `json:"expose,omitzero"`
}

// Exposure is an address on the host.
type Exposure struct {
	// hostPort on which the program is reached; 0 for none. The default is the program's own port.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	HostPort *int32 `json:"hostPort,omitempty"`
	// hostIP to listen on; the default is 127.0.0.1, since these programs ask nobody for a password. Grafana alone does.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule=`isIP(self)`,message=`must be an IP address, e.g. 127.0.0.1`
	HostIP string `json:"hostIP,omitempty"`
}

// Storage of a program of an addon.
type Storage struct {
	// size asked for, e.g. 10Gi. It can grow but not shrink.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule=`quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('1Mi')) >= 0`,message=`must be a whole number of bytes and at least 1Mi; is the unit missing?`
	// +kubebuilder:validation:XValidation:rule=`quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0`,reason=FieldValueForbidden,message=`can not shrink`,messageExpression=`'can not shrink; it was ' + string(oldSelf)`
	Size *resource.Quantity `json:"size,omitempty"`
	// reclaimPolicy says what becomes of the data when the addon is deleted. The default is Retain: measurements can't be
	// taken again.
	// +optional
	ReclaimPolicy ReclaimPolicy `json:"reclaimPolicy,omitempty"`
}

// Agent is a program beside the others that keeps nothing anybody would miss.
type Agent struct {
	// image of the program, and so its version; the default is the one of mockup's catalogue.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?/)?[a-z0-9]+(([.]|_{1,2}|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_{1,2}|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$')`,message=`must be an image reference without scheme or spaces, e.g. docker.io/library/nginx:1.29`
	Image string `json:"image,omitempty"`
	// resources of the container; the default is enough for a small stack.
	// +optional
	Resources *Resources `json:"resources,omitempty"`
}

// Metrics are collected and kept by Prometheus.
type Metrics struct {
	Component `json:",inline"`
	// storage of the samples; the default is 10Gi.
	// +optional
	Storage Storage `json:"storage,omitzero"`
	// scrapeInterval between two readings of the same metrics, from 1s to 120s, since Prometheus forgets a reading after
	// 5 minutes and rules need two; the default is 15s.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([1-9][0-9]?|1[01][0-9]|120)s$|^[12]m$')`,message=`must be from 1s to 120s, e.g. 15s`
	ScrapeInterval string `json:"scrapeInterval,omitempty"`
	// retention of samples, in hours, days or weeks; the default is 31d. Objectives look back as far as their window, so it
	// can not be shorter than that. The figures of services that have none look back 30d, or as far as there are samples.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([1-9][0-9]{0,4}[hd]|[1-9][0-9]{0,3}w)$')`,message=`must be a whole number of hours, days or weeks above 0 and at most 99999h, 99999d or 9999w, e.g. 15d`
	Retention string `json:"retention,omitempty"`
	// gatewayExporter reads what nginx says of its connections.
	// +optional
	GatewayExporter Component `json:"gatewayExporter,omitzero"`
}

// LogAgent is the program that reads the logs of containers and sends them to Loki.
//
// +kubebuilder:validation:Enum=OpenTelemetryCollector;Promtail
type LogAgent string

// The log agents.
const (
	// AgentPromtail is Promtail, whose line ended in March 2026.
	AgentPromtail LogAgent = "Promtail"
	// AgentOpenTelemetryCollector is its successor.
	AgentOpenTelemetryCollector LogAgent = "OpenTelemetryCollector"
)

// Logs are read by an agent and kept by Loki.
type Logs struct {
	Component `json:",inline"`
	// storage of the lines; the default is 10Gi.
	// +optional
	Storage Storage `json:"storage,omitzero"`
	// retention of lines, in hours, days or weeks and at least 24h, which is what Loki drops at once; the default is 7d.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([1-9][0-9]{0,4}[hd]|[1-9][0-9]{0,3}w)$')`,message=`must be a whole number of hours, days or weeks above 0 and at most 99999h, 99999d or 9999w, e.g. 7d`
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^([1-9]|1[0-9]|2[0-3])h$')`,message=`must be at least 24h: Loki keeps whole days`
	Retention string `json:"retention,omitempty"`
	// agent that reads the logs; the default is Promtail, which also counts the gateway's requests. Its line ended in March
	// 2026; OpenTelemetryCollector is a successor.
	// +optional
	Agent LogAgent `json:"agent,omitempty"`
	// agentContainer is what the agent runs in.
	// +optional
	AgentContainer Agent `json:"agentContainer,omitzero"`
}

// Tracing is taken in and kept by Jaeger. Services that speak OpenTelemetry are told by the variables OTEL_* where to send
// their spans, unless they set them themselves.
type Tracing struct {
	Component `json:",inline"`
	// storage of the traces; the default is 5Gi.
	// +optional
	Storage Storage `json:"storage,omitzero"`
	// retention of traces, in hours, days or weeks; the default is 2d.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([1-9][0-9]{0,4}[hd]|[1-9][0-9]{0,3}w)$')`,message=`must be a whole number of hours, days or weeks above 0 and at most 99999h, 99999d or 9999w, e.g. 2d`
	Retention string `json:"retention,omitempty"`
	// samplingRatio is the part of requests that are traced, from 0 to 1 with at most four decimals; the default is 1. A
	// client that sends a traceparent decides for itself.
	// +optional
	// +kubebuilder:validation:MaxLength=6
	// +kubebuilder:validation:XValidation:rule=`self.matches('^(0|0[.][0-9]{1,4}|1|1[.]0{1,4})$')`,message=`must be from 0 to 1 with at most four decimals, e.g. 0.25`
	SamplingRatio string `json:"samplingRatio,omitempty"`
	// ingest opens ports on the host by which programs outside of the stack send traces; the default is none.
	// +optional
	// +listType=map
	// +listMapKey=protocol
	// +kubebuilder:validation:MaxItems=5
	Ingest []TraceIngest `json:"ingest,omitempty"`
}

// TraceProtocol is a way in for traces. Inside the stack, all are open on their usual ports.
//
// +kubebuilder:validation:Enum=OTLPGRPC;OTLPHTTP;JaegerGRPC;JaegerHTTP;JaegerCompact
type TraceProtocol string

// The ways in for traces, with their ports inside the stack.
const (
	TraceOTLPGRPC      TraceProtocol = "OTLPGRPC"      // 4317
	TraceOTLPHTTP      TraceProtocol = "OTLPHTTP"      // 4318
	TraceJaegerGRPC    TraceProtocol = "JaegerGRPC"    // 14250
	TraceJaegerHTTP    TraceProtocol = "JaegerHTTP"    // 14268
	TraceJaegerCompact TraceProtocol = "JaegerCompact" // 6831, UDP
)

// TraceIngest opens a port on the host.
type TraceIngest struct {
	// protocol that is spoken there.
	// +required
	Protocol TraceProtocol `json:"protocol"`
	// hostPort that is opened.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	HostPort int32 `json:"hostPort"`
	// hostIP to listen on; the default is 127.0.0.1.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule=`isIP(self)`,message=`must be an IP address, e.g. 127.0.0.1`
	HostIP string `json:"hostIP,omitempty"`
}
