package manifests

import (
	"cmp"
	_ "embed" // its configuration
	"text/template"

	corev1 "k8s.io/api/core/v1"
)

//go:embed files/loki.yaml.tmpl
var lokiText string

var lokiTemplate = template.Must(template.New("loki.yaml").Parse(lokiText))

const (
	lokiConfigDir  = "/etc/mockup/loki"
	lokiConfigFile = "loki.yaml"
	lokiDataDir    = "/loki"
)

// loki keeps logs.
func (r *addonRenderer) loki() program {
	l := r.addon.Spec.Logs
	config, err := filled(lokiTemplate, struct {
		DataDir, Retention string
		Port               int
	}{lokiDataDir, cmp.Or(l.Retention, defaultLogsRetention), PortLoki})
	return program{
		name: ComponentLoki, err: err,
		image: l.Image, defaultImage: ImageLoki, user: lokiUser,
		command:   []string{"/usr/bin/loki"},
		args:      []string{"-config.file=" + lokiConfigDir + "/" + lokiConfigFile},
		ports:     []corev1.ContainerPort{exposedPort("http", PortLoki, l.Expose)},
		probe:     httpReadiness("/ready", PortLoki),
		resources: l.Resources, defaultResources: lokiResources(),
		configs: []configFolder{{use: "config", dir: lokiConfigDir, files: map[string]string{lokiConfigFile: config}}},
		storage: stored(l.Storage, "10Gi"), dataDir: lokiDataDir,
	}
}
