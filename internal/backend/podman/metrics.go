package podman

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"mockup.dev/mockup/internal/cgroup"
	"mockup.dev/mockup/manifests"
)

const (
	// metricsFresh is how long what containers use is not looked at again, however many ask.
	metricsFresh = 5 * time.Second
	// metricsTimeout bounds how long Podman may take to list the containers.
	metricsTimeout = 5 * time.Second
)

// Metrics are what a cluster's kubelet, cAdvisor and kube-state-metrics say of pods and claims, under their names and labels,
// so that rules and dashboards are the same on Podman. A look costs Podman a list of all pods and one of all containers; what they use is read from the kernel.
func (b *Backend) Metrics() prometheus.Collector {
	m := &metrics{backend: b, log: b.log.WithName("metrics"), volumes: newVolumeMetrics(b)}
	m.groups, m.lacking = cgroup.New()
	return m
}

type metrics struct {
	backend *Backend
	log     logr.Logger
	groups  *cgroup.Reader
	lacking error
	volumes *volumeMetrics

	mu   sync.Mutex
	at   time.Time
	last []containerMetrics
}

// containerMetrics of one container.
type containerMetrics struct {
	namespace, pod, container, image string
	restarts                         int
	// running containers use something.
	running bool
	started time.Time
	seen    time.Time
	cgroup.Usage
}

// containerLabels are cAdvisor's, as far as there is something to them here.
func containerLabels() []string { return []string{"namespace", "pod", "container", "image"} }

// The series by their cluster's names: cAdvisor (metrics/prometheus.go), kubelet (pkg/kubelet/metrics/collectors/volume_stats.go) and
// kube-state-metrics (internal/store/pod.go).
var (
	descCPU      = prometheus.NewDesc("container_cpu_usage_seconds_total", "CPU time that the container has used.", containerLabels(), nil)
	descMemory   = prometheus.NewDesc("container_memory_working_set_bytes", "Memory of the container that can't be given back easily.", containerLabels(), nil)
	descLimit    = prometheus.NewDesc("container_spec_memory_limit_bytes", "Memory limit of the container; 0 for none.", containerLabels(), nil)
	descStart    = prometheus.NewDesc("container_start_time_seconds", "When the container was started, in seconds since 1970.", containerLabels(), nil)
	descSeen     = prometheus.NewDesc("container_last_seen", "When the container was looked at, in seconds since 1970.", containerLabels(), nil)
	descRestarts = prometheus.NewDesc("kube_pod_container_status_restarts_total", "How often the container was started again.",
		[]string{"namespace", "pod", "container"}, nil)
	descUsed     = prometheus.NewDesc("kubelet_volume_stats_used_bytes", "What the files of the claim's volume take of the disk.", claimLabels(), nil)
	descCapacity = prometheus.NewDesc("kubelet_volume_stats_capacity_bytes", "The size that the claim asks for, which Podman does not enforce.", claimLabels(), nil)
)

func claimLabels() []string { return []string{"namespace", "persistentvolumeclaim"} }

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descCPU, descMemory, descLimit, descStart, descSeen, descRestarts, descUsed, descCapacity} {
		out <- d
	}
}

// Collect implements prometheus.Collector. What can't be had is left out: a series that ends says so.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, c := range m.containers() {
		out <- prometheus.MustNewConstMetric(descRestarts, prometheus.CounterValue, float64(c.restarts), c.namespace, c.pod, c.container)
		if !c.running {
			continue
		}
		labels := []string{c.namespace, c.pod, c.container, c.image}
		out <- prometheus.MustNewConstMetric(descCPU, prometheus.CounterValue, c.CPU.Seconds(), labels...)
		gauge(descMemory, float64(c.WorkingSet), labels...)
		gauge(descLimit, float64(c.Limit), labels...)
		gauge(descStart, unixSeconds(c.started), labels...)
		gauge(descSeen, unixSeconds(c.seen), labels...)
	}
	for _, v := range m.volumes.all() {
		gauge(descCapacity, float64(v.size), v.namespace, v.claim)
		if v.measured {
			gauge(descUsed, float64(v.used), v.namespace, v.claim)
		}
	}
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// containers as they were seen last, or anew.
func (m *metrics) containers() []containerMetrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) < metricsFresh {
		return m.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	m.last, m.at = m.look(ctx), time.Now()
	return m.last
}

func (m *metrics) look(ctx context.Context) []containerMetrics {
	pods, err := m.backend.engine.pods(ctx, "")
	if err != nil {
		m.log.V(1).Info("no metrics of containers", "error", err.Error())
		return nil
	}
	var out []containerMetrics
	for _, p := range pods {
		owner, err := manifests.ParseOwner(p.labels[manifests.LabelOwner])
		if err != nil {
			continue
		}
		for _, c := range p.containers {
			out = append(out, m.container(owner, p, c))
		}
	}
	return out
}

func (m *metrics) container(owner manifests.Owner, p podInfo, c containerInfo) containerMetrics {
	life := m.backend.lifeOf(owner, c.id)
	found := containerMetrics{
		namespace: owner.Namespace, pod: p.name, container: manifestName(p.name, c.name), image: c.image,
		restarts: max(life.total, int(c.restarts)), started: c.started, seen: time.Now(),
	}
	if c.state != "running" || c.pid == 0 {
		return found
	}
	err := m.lacking
	if err == nil {
		found.Usage, err = m.groups.Read(c.pid, c.id)
	}
	if found.running = err == nil; err != nil {
		m.log.V(1).Info("no metrics of a container", "pod", p.name, "container", found.container, "error", err.Error())
	}
	return found
}
