package manifests

import (
	"cmp"
	_ "embed" // its configuration
	"text/template"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	_ "github.com/prometheus/prometheus/discovery/dns" // so that config knows it
	corev1 "k8s.io/api/core/v1"
)

//go:embed files/prometheus.yml.tmpl
var prometheusText string

var prometheusTemplate = template.Must(template.New("prometheus.yml").Parse(prometheusText))

// Folders and files of Prometheus.
const (
	prometheusConfigDir  = "/etc/mockup/prometheus"
	prometheusConfigFile = "prometheus.yml"
	rulesFile            = "rules.yml"
	objectivesFile       = "objectives.yml"
	prometheusDataDir    = "/prometheus"
)

// prometheus collects and keeps metrics, and finds out what is to be alerted.
func (r *addonRenderer) prometheus() program {
	m := r.addon.Spec.Metrics
	files, err := r.prometheusConfig()
	return program{
		name: ComponentPrometheus, err: err,
		image: m.Image, defaultImage: ImagePrometheus, user: prometheusUser,
		command: []string{"/bin/prometheus"},
		args: []string{
			"--config.file=" + prometheusConfigDir + "/" + prometheusConfigFile,
			"--storage.tsdb.path=" + prometheusDataDir,
			"--storage.tsdb.retention.time=" + cmp.Or(m.Retention, defaultMetricsRetention),
			"--web.external-url=" + r.externalURL(ComponentPrometheus),
			"--web.enable-lifecycle", // for reloads
			"--enable-feature=exemplar-storage",
			"--log.format=json",
		},
		ports:     []corev1.ContainerPort{exposedPort("http", PortPrometheus, m.Expose)},
		probe:     httpReadiness("/-/ready", PortPrometheus),
		resources: m.Resources, defaultResources: prometheusResources(),
		configs: []configFolder{{use: "config", dir: prometheusConfigDir, files: files, stable: true}},
		reload:  httpReload(PortPrometheus, "/-/reload"),
		test:    []string{"/bin/promtool", "check", "config", prometheusConfigDir + "/" + prometheusConfigFile},
		storage: stored(m.Storage, "10Gi"), dataDir: prometheusDataDir,
		everywhere: true, // to reach what it reads
	}
}

// prometheusValues are what the template is filled with.
type prometheusValues struct {
	Interval, Stack, Namespace string
	// Services have pods that are found by name.
	Services []prometheusService
	// Components are other programs of the addon.
	Components []prometheusTarget
	// Agent is the log agent, whose pods have a name; empty if there is none.
	Agent, AgentHost       string
	AgentPort              int
	Operator, Alertmanager string
	Rules                  []string
}

type prometheusService struct {
	Name, Host string
	Port       int32
}

type prometheusTarget struct{ Name, Target string }

// prometheusConfig are its files.
func (r *addonRenderer) prometheusConfig() (map[string]string, error) {
	values := prometheusValues{
		Interval: r.scrapeInterval(),
		Stack:    r.stack.Name, Namespace: r.owner.Namespace, Operator: r.target(OperatorService, OperatorMetricsPort),
	}
	for _, s := range r.stack.Spec.Services {
		if s.MetricsPort != 0 {
			values.Services = append(values.Services, prometheusService{Name: s.Name, Host: r.owner.host(PodsName(s.Name)), Port: s.MetricsPort})
		}
	}
	if values.Agent, values.AgentPort = r.agent(); values.Agent != "" {
		values.AgentHost = r.owner.host(PodsName(values.Agent))
	}
	if r.wants(ComponentAlertmanager) {
		values.Alertmanager = r.target(ComponentAlertmanager, PortAlertmanager)
	}
	for _, c := range []struct {
		name string
		port int
	}{
		{ComponentPrometheus, PortPrometheus}, {ComponentAlertmanager, PortAlertmanager}, {ComponentLoki, PortLoki},
		{ComponentJaeger, PortJaegerMetrics}, {ComponentGrafana, PortGrafana}, {ComponentGatewayExporter, PortGatewayExporter},
	} {
		if r.wants(c.name) {
			values.Components = append(values.Components, prometheusTarget{Name: c.name, Target: r.target(c.name, c.port)})
		}
	}
	files, err := r.rulesFiles()
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(files) {
		values.Rules = append(values.Rules, prometheusConfigDir+"/"+name)
	}
	text, err := filled(prometheusTemplate, values)
	if err != nil {
		return nil, err
	}
	if _, err := config.Load(text, promslog.NewNopLogger()); err != nil {
		return nil, &InvalidError{Field: "spec.metrics", Reason: "Prometheus refuses what would come of it: " + err.Error()}
	}
	files[prometheusConfigFile] = text
	return files, nil
}

// scrapeInterval between two readings.
func (r *addonRenderer) scrapeInterval() string {
	return cmp.Or(r.addon.Spec.Metrics.ScrapeInterval, defaultScrapeInterval)
}

// agent that reads logs, with the port of its own metrics; empty if none does.
func (r *addonRenderer) agent() (name string, port int) {
	switch {
	case r.wants(ComponentPromtail):
		return ComponentPromtail, PortPromtail
	case r.wants(ComponentCollector):
		return ComponentCollector, PortCollector
	}
	return "", 0
}
