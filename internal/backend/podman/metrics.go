package podman

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"mockup.dev/mockup/internal/backend/series"
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

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) { series.Describe(out) }

// Collect implements prometheus.Collector. What can't be had is left out: a series that ends says so.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, c := range m.containers() {
		out <- prometheus.MustNewConstMetric(series.Restarts, prometheus.CounterValue, float64(c.restarts), c.namespace, c.pod, c.container)
		if !c.running {
			continue
		}
		labels := []string{c.namespace, c.pod, c.container, c.image}
		out <- prometheus.MustNewConstMetric(series.CPU, prometheus.CounterValue, c.CPU.Seconds(), labels...)
		gauge(series.Memory, float64(c.WorkingSet), labels...)
		gauge(series.Limit, float64(c.Limit), labels...)
		gauge(series.Start, unixSeconds(c.started), labels...)
		gauge(series.Seen, unixSeconds(c.seen), labels...)
	}
	for _, v := range m.volumes.all() {
		gauge(series.Capacity, float64(v.size), v.namespace, v.claim)
		if v.measured {
			gauge(series.Used, float64(v.used), v.namespace, v.claim)
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
