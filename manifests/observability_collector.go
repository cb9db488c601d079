package manifests

import (
	_ "embed" // its configuration
	"text/template"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

//go:embed files/collector.yaml.tmpl
var collectorText string

var collectorTemplate = template.Must(template.New("collector.yaml").Parse(collectorText))

const (
	collectorConfigDir  = "/etc/mockup/collector"
	collectorConfigFile = "collector.yaml"
	collectorDataDir    = "/var/lib/otelcol"
	collectorHealthPort = 13133
)

// collector is Promtail's successor. It reads the same files and is root for the same reason.
func (r *addonRenderer) collector() program {
	l := r.addon.Spec.Logs
	config, err := filled(collectorTemplate, struct {
		DataDir, Loki, Logs, Stack, Namespace string
		Sources                               []logSource
	}{collectorDataDir, "http://" + r.target(ComponentLoki, PortLoki), podLogs, r.stack.Name, r.owner.Namespace, r.logSources()})
	return program{
		name: ComponentCollector, err: err,
		image: l.AgentContainer.Image, defaultImage: ImageOpenTelemetryCollector,
		args: []string{
			"--config=" + collectorConfigDir + "/" + collectorConfigFile,
			// It notes how far it has read when lines are on its disk, not before: else they would be lost with the process.
			"--feature-gates=stanza.synchronousLogEmitter",
		},
		ports:     []corev1.ContainerPort{containerPort("metrics", PortCollector)},
		probe:     httpReadiness("/", collectorHealthPort),
		resources: l.AgentContainer.Resources, defaultResources: promtailResources(),
		configs: []configFolder{{use: "config", dir: collectorConfigDir, files: map[string]string{collectorConfigFile: config}}},
		storage: stored(v1alpha1.Storage{ReclaimPolicy: v1alpha1.ReclaimDelete}, "1Gi"), dataDir: collectorDataDir,
		onEveryNode: true, hostPaths: []string{podLogs},
	}
}
