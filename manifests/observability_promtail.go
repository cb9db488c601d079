package manifests

import (
	_ "embed" // its configuration
	"text/template"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

//go:embed files/promtail.yaml.tmpl
var promtailText string

var promtailTemplate = template.Must(template.New("promtail.yaml").Parse(promtailText))

const (
	promtailConfigDir  = "/etc/mockup/promtail"
	promtailConfigFile = "promtail.yaml"
	promtailDataDir    = "/var/lib/promtail"
	// podLogs is where a kubelet, and the Podman backend, put the logs of containers:
	// NAMESPACE_POD_UID/CONTAINER/0.log, with rotated ones beside.
	podLogs = "/var/log/pods"
)

// promtail reads the logs of each node. It is root, as the files are, and may do nothing but read them.
func (r *addonRenderer) promtail() program {
	l := r.addon.Spec.Logs
	config, err := r.promtailConfig()
	return program{
		name: ComponentPromtail, err: err,
		image: l.AgentContainer.Image, defaultImage: ImagePromtail,
		command:   []string{"/usr/bin/promtail"},
		args:      []string{"-config.file=" + promtailConfigDir + "/" + promtailConfigFile},
		ports:     []corev1.ContainerPort{containerPort("http", PortPromtail)},
		probe:     httpReadiness("/ready", PortPromtail),
		resources: l.AgentContainer.Resources, defaultResources: promtailResources(),
		configs: []configFolder{{use: "config", dir: promtailConfigDir, files: map[string]string{promtailConfigFile: config}}},
		// Where it has read to must outlive it, else lines are read twice or never.
		storage: stored(v1alpha1.Storage{ReclaimPolicy: v1alpha1.ReclaimDelete}, "64Mi"), dataDir: promtailDataDir,
		onEveryNode: true, hostPaths: []string{podLogs},
		grace: promtailGrace,
	}
}

// promtailGrace in seconds: without Loki, which may have ended before, it would try for half a minute. What it could not send
// it reads again.
const promtailGrace = 5

// logSource is a container whose log is read.
type logSource struct{ Service, Container string }

func (r *addonRenderer) promtailConfig() (string, error) {
	values := struct {
		Port                      int
		DataDir, Loki, Logs       string
		Stack, Namespace, Gateway string
		Files, Buckets            []string
		Sources                   []logSource
	}{
		Port: PortPromtail, DataDir: promtailDataDir, Logs: podLogs,
		Loki:  "http://" + r.target(ComponentLoki, PortLoki),
		Stack: r.stack.Name, Namespace: r.owner.Namespace, Buckets: latencyBuckets, Sources: r.logSources(),
	}
	if r.stack.Spec.Gateway != nil {
		values.Gateway = ServiceName(r.stack.Name, ComponentGateway)
	}
	return filled(promtailTemplate, values)
}

// logSources are the containers of the stack and of the addon.
func (r *addonRenderer) logSources() []logSource {
	var out []logSource
	for _, s := range r.stack.Spec.Services {
		out = append(out, logSource{s.Name, ServiceName(r.stack.Name, s.Name)})
	}
	if r.stack.Spec.Gateway != nil {
		out = append(out, logSource{ComponentGateway, ServiceName(r.stack.Name, ComponentGateway)})
	}
	for _, name := range r.components() {
		out = append(out, logSource{name, name})
	}
	return out
}

// latencyBuckets are the bounds, in seconds, by which the gateway's requests are counted: those of our services
// (workloads/internal/telemetry), so that one query does for both.
var latencyBuckets = []string{".005", ".01", ".025", ".05", ".1", ".25", ".5", "1", "2.5", "5", "10", "30", "60"}
