// Package series has what a cluster's programs tell of containers and claims, so that each backend tells it by the same names and
// rules and dashboards are the same on all: cAdvisor's (metrics/prometheus.go), the kubelet's
// (pkg/kubelet/metrics/collectors/volume_stats.go) and those of kube-state-metrics (internal/store/pod.go).
package series

import "github.com/prometheus/client_golang/prometheus"

func container() []string { return []string{"namespace", "pod", "container", "image"} }
func claim() []string     { return []string{"namespace", "persistentvolumeclaim"} }

// The series. Labels are those of a container, of a pod's container for Restarts, and of a claim.
var (
	CPU      = prometheus.NewDesc("container_cpu_usage_seconds_total", "CPU time that the container has used.", container(), nil)
	Memory   = prometheus.NewDesc("container_memory_working_set_bytes", "Memory of the container that can't be given back easily.", container(), nil)
	Limit    = prometheus.NewDesc("container_spec_memory_limit_bytes", "Memory limit of the container; 0 for none.", container(), nil)
	Start    = prometheus.NewDesc("container_start_time_seconds", "When the container was started, in seconds since 1970.", container(), nil)
	Seen     = prometheus.NewDesc("container_last_seen", "When the container was looked at, in seconds since 1970.", container(), nil)
	Restarts = prometheus.NewDesc("kube_pod_container_status_restarts_total", "How often the container was started again.",
		[]string{"namespace", "pod", "container"}, nil)
	Used     = prometheus.NewDesc("kubelet_volume_stats_used_bytes", "What the files of the claim's volume take of the disk.", claim(), nil)
	Capacity = prometheus.NewDesc("kubelet_volume_stats_capacity_bytes", "What the claim's volume can hold; on Podman the size that the claim asks for, which is not enforced.", claim(), nil)
)

// Describe tells all of them.
func Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{CPU, Memory, Limit, Start, Seen, Restarts, Used, Capacity} {
		out <- d
	}
}
