package manifests

import (
	corev1 "k8s.io/api/core/v1"
)

// Folders and files of Alertmanager.
const (
	alertmanagerConfigDir  = "/etc/mockup/alertmanager"
	alertmanagerConfigFile = "alertmanager.yml"
	messagesFile           = "messages.tmpl"
	alertmanagerDataDir    = "/alertmanager"
)

// alertmanager sends alerts to people.
func (r *addonRenderer) alertmanager() program {
	a := r.addon.Spec.Alerting
	files, err := r.alertmanagerConfig()
	return program{
		name: ComponentAlertmanager, err: err,
		image: a.Image, defaultImage: ImageAlertmanager, user: prometheusUser,
		command: []string{"/bin/alertmanager"},
		args: []string{
			"--config.file=" + alertmanagerConfigDir + "/" + alertmanagerConfigFile,
			"--storage.path=" + alertmanagerDataDir,
			"--web.external-url=" + r.externalURL(ComponentAlertmanager),
			"--cluster.listen-address=", // there is one
			// Silences, and what was sent, are saved when it ends; one that is killed knows what it has saved before.
			"--data.maintenance-interval=15s",
			"--log.format=json",
		},
		ports:     []corev1.ContainerPort{exposedPort("http", PortAlertmanager, a.Expose)},
		probe:     httpReadiness("/-/ready", PortAlertmanager),
		resources: a.Resources, defaultResources: alertmanagerResources(),
		configs: []configFolder{{use: "config", dir: alertmanagerConfigDir, files: files, stable: true}},
		secrets: receiverSecrets(a),
		reload:  httpReload(PortAlertmanager, "/-/reload"),
		test:    []string{"/bin/amtool", "check-config", alertmanagerConfigDir + "/" + alertmanagerConfigFile},
		storage: stored(a.Storage, "1Gi"), dataDir: alertmanagerDataDir,
	}
}
