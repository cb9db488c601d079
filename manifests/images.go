package manifests

// The catalogue: upstream images by pinned version. A caller that can't pull them maps each to one that it has
// (StackFacts.Images).
const (
	// ImageNginx is the gateway's.
	ImageNginx = "docker.io/library/nginx:1.30.6"

	// ImageBackup is the program of the Jobs that make backups; it is built from backup/ of this repository.
	ImageBackup = "docker.io/mockup/backup:v0.1.0"

	// ImagePrometheus scrapes, evaluates rules and keeps metrics.
	ImagePrometheus = "docker.io/prom/prometheus:v3.16.0"
	// ImageAlertmanager groups, silences and sends alerts.
	ImageAlertmanager = "docker.io/prom/alertmanager:v0.34.2"
	// ImageLoki keeps logs.
	ImageLoki = "docker.io/grafana/loki:3.7.8"
	// ImagePromtail reads the logs of containers and sends them to Loki. It is the last one: Loki 3.7 came without.
	ImagePromtail = "docker.io/grafana/promtail:3.6.4"
	// ImageJaeger receives and keeps traces.
	ImageJaeger = "docker.io/jaegertracing/jaeger:2.13.0"
	// ImageOpenTelemetryCollector does what Promtail does, by OTLP.
	ImageOpenTelemetryCollector = "docker.io/otel/opentelemetry-collector-contrib:0.149.0"
	// ImageGrafana shows all of it.
	ImageGrafana = "docker.io/grafana/grafana:12.4.4"
	// ImageNginxExporter turns the gateway's own figures into metrics.
	ImageNginxExporter = "docker.io/nginx/nginx-prometheus-exporter:1.5.1"
)

// Catalogue lists every image that mockup chooses itself, by the name of its program.
func Catalogue() map[string]string {
	return map[string]string{
		"alertmanager":   ImageAlertmanager,
		"backup":         ImageBackup,
		"grafana":        ImageGrafana,
		"jaeger":         ImageJaeger,
		"loki":           ImageLoki,
		"nginx":          ImageNginx,
		"nginx-exporter": ImageNginxExporter,
		"otelcol":        ImageOpenTelemetryCollector,
		"prometheus":     ImagePrometheus,
		"promtail":       ImagePromtail,
	}
}

// mapped is the reference that is really run for image.
func (f StackFacts) mapped(image string) string {
	if other := f.Images[image]; other != "" {
		return other
	}
	return image
}
