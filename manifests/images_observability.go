package manifests

// ImageGrafana shows what the others of an addon keep.
const ImageGrafana = "docker.io/grafana/grafana:12.2.1"
