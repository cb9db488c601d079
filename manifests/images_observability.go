package manifests

// The programs of an ObservabilityAddon.
const (
	// ImagePrometheus keeps metrics; promtool is in it.
	ImagePrometheus = "docker.io/prom/prometheus:v3.16.0"
	// ImageAlertmanager sends alerts; amtool is in it.
	ImageAlertmanager = "docker.io/prom/alertmanager:v0.34.2"
	// ImageLoki keeps logs.
	ImageLoki = "docker.io/grafana/loki:3.7.8"
	// ImagePromtail reads them. It is the last that there is.
	ImagePromtail = "docker.io/grafana/promtail:3.6.4"
	// ImageOpenTelemetryCollector reads them, too.
	ImageOpenTelemetryCollector = "docker.io/otel/opentelemetry-collector-contrib:0.149.0"
	// ImageJaeger keeps traces.
	ImageJaeger = "docker.io/jaegertracing/jaeger:2.13.0"
	// ImageGrafana shows it all.
	ImageGrafana = "docker.io/grafana/grafana:12.2.1"
	// ImageNginxExporter reads what nginx says of its connections.
	ImageNginxExporter = "docker.io/nginx/nginx-prometheus-exporter:1.5.1"
)
