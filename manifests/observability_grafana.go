package manifests

import (
	_ "embed" // its configuration
	"text/template"

	corev1 "k8s.io/api/core/v1"
)

//go:embed files/grafana.ini.tmpl
var grafanaText string

//go:embed files/datasources.yaml.tmpl
var datasourcesText string

//go:embed files/dashboards.yaml
var dashboardProviders string

var (
	grafanaTemplate     = template.Must(template.New("grafana.ini").Parse(grafanaText))
	datasourcesTemplate = template.Must(template.New("datasources.yaml").Parse(datasourcesText))
)

const (
	grafanaConfigDir       = "/etc/mockup/grafana"
	grafanaProvisioningDir = "/etc/mockup/provisioning"
	grafanaDashboardDir    = "/etc/mockup/dashboards"
	grafanaConfigFile      = "grafana.ini"
	grafanaDataDir         = "/var/lib/grafana"
	grafanaHome            = "/usr/share/grafana" // of the official image
)

// grafana shows it all.
func (r *addonRenderer) grafana() program {
	d := r.addon.Spec.Dashboards
	admin := adminReference(r.owner.Name, &d)
	configs, err := r.grafanaConfigs(admin)
	return program{
		name: ComponentGrafana, err: err,
		image: d.Image, defaultImage: ImageGrafana, user: grafanaUser,
		command: []string{grafanaHome + "/bin/grafana"},
		args:    []string{"server", "--homepath=" + grafanaHome, "--config=" + grafanaConfigDir + "/" + grafanaConfigFile},
		env: []corev1.EnvVar{ // the image sets these, and they go before the file
			{Name: "GF_PATHS_DATA", Value: grafanaDataDir},
			{Name: "GF_PATHS_LOGS", Value: grafanaDataDir + "/log"},
			{Name: "GF_PATHS_PLUGINS", Value: grafanaDataDir + "/plugins"},
			{Name: "GF_PATHS_PROVISIONING", Value: grafanaProvisioningDir},
		},
		ports:     []corev1.ContainerPort{exposedPort("http", PortGrafana, d.Expose)},
		probe:     httpReadiness("/api/health", PortGrafana),
		resources: d.Resources, defaultResources: grafanaResources(),
		configs: configs,
		secrets: []Reference{admin},
		reload:  &Reload{Watched: true}, // of dashboards
		storage: stored(d.Storage, "1Gi"), dataDir: grafanaDataDir,
	}
}

// grafanaConfigs are its settings, its data sources and its dashboards, each in a folder of its own: Podman knows no folders
// in a ConfigMap.
func (r *addonRenderer) grafanaConfigs(admin Reference) ([]configFolder, error) {
	ini, err := filled(grafanaTemplate, struct{ PasswordFile, URL string }{
		secretDir(admin.Name) + "/" + KeyAdminPassword, r.externalURL(ComponentGrafana),
	})
	if err != nil {
		return nil, err
	}
	sources, err := filled(datasourcesTemplate, struct{ Prometheus, Loki, Jaeger, Alertmanager, Interval string }{
		r.sourceURL(ComponentPrometheus, PortPrometheus),
		r.sourceURL(ComponentLoki, PortLoki),
		r.sourceURL(ComponentJaeger, PortJaegerQuery),
		r.sourceURL(ComponentAlertmanager, PortAlertmanager),
		r.scrapeInterval(),
	})
	if err != nil {
		return nil, err
	}
	dashboards, err := r.dashboards()
	if err != nil {
		return nil, err
	}
	return append([]configFolder{
		{use: "config", dir: grafanaConfigDir, files: map[string]string{grafanaConfigFile: ini}},
		{use: "sources", dir: grafanaProvisioningDir + "/datasources", files: map[string]string{"mockup.yaml": sources}},
		{use: "providers", dir: grafanaProvisioningDir + "/dashboards", files: map[string]string{"mockup.yaml": dashboardProviders}},
	}, dashboards...), nil
}

// sourceURL of a component; empty where it is switched off.
func (r *addonRenderer) sourceURL(component string, port int) string {
	if !r.wants(component) {
		return ""
	}
	return "http://" + r.target(component, port)
}
