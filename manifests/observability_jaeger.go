package manifests

import (
	"cmp"
	_ "embed" // its configuration
	"fmt"
	"slices"
	"text/template"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

//go:embed files/jaeger.yaml.tmpl
var jaegerText string

//go:embed files/sampling.json.tmpl
var samplingText string

var (
	jaegerTemplate   = template.Must(template.New("jaeger.yaml").Parse(jaegerText))
	samplingTemplate = template.Must(template.New("sampling.json").Parse(samplingText))
)

const (
	jaegerConfigDir    = "/etc/mockup/jaeger"
	jaegerConfigFile   = "jaeger.yaml"
	jaegerSamplingFile = "sampling.json"
	jaegerDataDir      = "/badger"
	jaegerHealthPort   = 13133
	portOTLPHTTP       = 4318
)

// jaeger takes traces in and keeps them.
func (r *addonRenderer) jaeger() program {
	t := r.addon.Spec.Tracing
	config, err := jaegerConfig(&t)
	return program{
		name: ComponentJaeger, err: err,
		image: t.Image, defaultImage: ImageJaeger, user: jaegerUser,
		args:      []string{"--config=" + jaegerConfigDir + "/" + jaegerConfigFile},
		ports:     jaegerPorts(&t),
		probe:     httpReadiness("/status", jaegerHealthPort),
		resources: t.Resources, defaultResources: jaegerResources(),
		configs: []configFolder{{use: "config", dir: jaegerConfigDir, files: config}},
		storage: stored(t.Storage, "5Gi"), dataDir: jaegerDataDir,
		everywhere: true, // to be reached by whoever has traces
	}
}

func jaegerConfig(t *v1alpha1.Tracing) (map[string]string, error) {
	ratio := cmp.Or(t.SamplingRatio, defaultSamplingRatio)
	retention, err := hours(cmp.Or(t.Retention, defaultTracesRetention))
	if err != nil {
		return nil, &InvalidError{Field: "spec.tracing.retention", Value: t.Retention, Reason: err.Error()}
	}
	config, err := filled(jaegerTemplate, struct{ ConfigDir, DataDir, SamplingFile, Ratio, Retention string }{
		jaegerConfigDir, jaegerDataDir, jaegerSamplingFile, ratio, fmt.Sprintf("%dh", retention),
	})
	if err != nil {
		return nil, err
	}
	sampling, err := filled(samplingTemplate, ratio)
	return map[string]string{jaegerConfigFile: config, jaegerSamplingFile: sampling}, err
}

// wayIn is a port for traces.
type wayIn struct {
	protocol v1alpha1.TraceProtocol
	port     corev1.ContainerPort
}

func waysIn() []wayIn {
	return []wayIn{
		{v1alpha1.TraceOTLPGRPC, containerPort("otlp-grpc", 4317)},
		{v1alpha1.TraceOTLPHTTP, containerPort("otlp-http", portOTLPHTTP)},
		{v1alpha1.TraceJaegerGRPC, containerPort("jaeger-grpc", 14250)},
		{v1alpha1.TraceJaegerHTTP, containerPort("jaeger-http", 14268)},
		{v1alpha1.TraceJaegerCompact, corev1.ContainerPort{Name: "jaeger-compact", ContainerPort: 6831, Protocol: corev1.ProtocolUDP}},
	}
}

// ingestField that asks for a port, by the port's name.
func ingestField(t *v1alpha1.Tracing, port string) string {
	for i, in := range t.Ingest {
		if slices.ContainsFunc(waysIn(), func(w wayIn) bool { return w.protocol == in.Protocol && w.port.Name == port }) {
			return fmt.Sprintf("spec.tracing.ingest[%d]", i)
		}
	}
	return "spec.tracing.ingest"
}

// jaegerPorts are the query, the ways in, and what others ask.
func jaegerPorts(t *v1alpha1.Tracing) []corev1.ContainerPort {
	ports := []corev1.ContainerPort{
		exposedPort("query", PortJaegerQuery, t.Expose),
		containerPort("query-grpc", 16685),
	}
	for _, way := range waysIn() {
		for _, i := range t.Ingest {
			if i.Protocol == way.protocol {
				way.port.HostPort, way.port.HostIP = i.HostPort, cmp.Or(i.HostIP, loopback)
			}
		}
		ports = append(ports, way.port)
	}
	return append(ports,
		containerPort("sampling-http", 5778), containerPort("sampling-grpc", 5779), containerPort("metrics", PortJaegerMetrics))
}
