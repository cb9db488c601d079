package manifests

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// gatewayExporter reads what nginx says of its connections.
func (r *addonRenderer) gatewayExporter() program {
	e := r.addon.Spec.Metrics.GatewayExporter
	gateway := r.target(ServiceName(r.stack.Name, ComponentGateway), gatewayStatusPort)
	return program{
		name:  ComponentGatewayExporter,
		image: e.Image, defaultImage: ImageNginxExporter, user: exporterUser,
		command: []string{"/usr/bin/nginx-prometheus-exporter"},
		args: []string{
			fmt.Sprintf("--nginx.scrape-uri=http://%s/stub_status", gateway),
			fmt.Sprintf("--web.listen-address=:%d", PortGatewayExporter),
			"--log.format=json",
		},
		ports:     []corev1.ContainerPort{exposedPort("http", PortGatewayExporter, e.Expose)},
		probe:     httpReadiness("/", PortGatewayExporter),
		resources: e.Resources, defaultResources: exporterResources(),
		everywhere: true, // to reach the gateway
	}
}
