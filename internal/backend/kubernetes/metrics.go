package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"mockup.dev/mockup/internal/backend/series"
	"mockup.dev/mockup/manifests"
)

const (
	// metricsFresh is how long what kubelets said is told again, since several may ask.
	metricsFresh = 10 * time.Second
	// metricsTimeout bounds how long they may take together.
	metricsTimeout = 5 * time.Second
)

// Metrics are those of containers and claims of all owners, as kubelets tell them through the API server, by the names that they
// have on Podman: the addons' programs have no account by which they could ask themselves.
func (b *Backend) Metrics(log logr.Logger) prometheus.Collector {
	return &metrics{backend: b, log: log}
}

type metrics struct {
	backend *Backend
	log     logr.Logger

	mu   sync.Mutex
	at   time.Time
	last []prometheus.Metric
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) { series.Describe(out) }

// Collect implements prometheus.Collector. What can't be had is left out: a series that ends says so.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) >= metricsFresh {
		ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
		defer cancel()
		m.last, m.at = m.look(ctx), time.Now()
	}
	for _, one := range m.last {
		out <- one
	}
}

// look at the pods of all owners, and ask the kubelets of their nodes, side by side.
func (m *metrics) look(ctx context.Context) []prometheus.Metric {
	pods, err := m.backend.cluster.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: manifests.LabelOwner, ResourceVersion: "0"})
	if err != nil {
		m.log.Info("there are no metrics of containers", "error", err.Error())
		return nil
	}
	ours, nodes := map[types.UID]*corev1.Pod{}, map[string]*stats.Summary{}
	for i := range pods.Items {
		p := &pods.Items[i]
		ours[p.UID] = p
		if p.Spec.NodeName != "" {
			nodes[p.Spec.NodeName] = nil
		}
	}
	m.askAll(ctx, nodes)
	out := restarts(pods.Items)
	claims := map[stats.PVCReference]bool{} // several pods may mount one
	for _, summary := range nodes {
		if summary == nil {
			continue
		}
		for i := range summary.Pods {
			told := &summary.Pods[i]
			if p := ours[types.UID(told.PodRef.UID)]; p != nil {
				out = append(out, containersOf(p, told.Containers)...)
				out = append(out, claimsOf(told.VolumeStats, claims)...)
			}
		}
	}
	return out
}

// askAll the kubelets of nodes, and put down what each says.
func (m *metrics) askAll(ctx context.Context, nodes map[string]*stats.Summary) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for name := range nodes {
		all.Go(func() {
			summary, err := m.ask(ctx, name)
			if err != nil {
				m.log.Info("there are no metrics of the containers of a node", "node", name, "error", err.Error())
				return
			}
			mu.Lock()
			defer mu.Unlock()
			nodes[name] = summary
		})
	}
	all.Wait()
}

// ask the kubelet of a node, through the API server.
func (m *metrics) ask(ctx context.Context, node string) (*stats.Summary, error) {
	text, err := m.backend.cluster.CoreV1().RESTClient().Get().Resource("nodes").Name(node).SubResource("proxy").Suffix("stats/summary").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking the kubelet of %s: %w", node, err)
	}
	summary := &stats.Summary{}
	if err := json.Unmarshal(text, summary); err != nil {
		return nil, fmt.Errorf("reading what the kubelet of %s says: %w", node, err)
	}
	return summary, nil
}

// restarts are counted in the pods' status.
func restarts(pods []corev1.Pod) (out []prometheus.Metric) {
	for i := range pods {
		p := &pods[i]
		for _, c := range p.Status.ContainerStatuses {
			out = append(out, prometheus.MustNewConstMetric(series.Restarts, prometheus.CounterValue, float64(c.RestartCount), p.Namespace, p.Name, c.Name))
		}
	}
	return out
}

// containersOf a pod that run, with the limits that the pod sets.
func containersOf(p *corev1.Pod, told []stats.ContainerStats) (out []prometheus.Metric) {
	for _, spec := range p.Spec.Containers {
		for _, c := range told {
			if c.Name != spec.Name || c.CPU == nil || c.CPU.UsageCoreNanoSeconds == nil || c.Memory == nil || c.Memory.WorkingSetBytes == nil {
				continue
			}
			labels := []string{p.Namespace, p.Name, c.Name, spec.Image}
			gauge := func(d *prometheus.Desc, v float64) {
				out = append(out, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...))
			}
			out = append(out, prometheus.MustNewConstMetric(series.CPU, prometheus.CounterValue, float64(*c.CPU.UsageCoreNanoSeconds)/1e9, labels...))
			gauge(series.Memory, float64(*c.Memory.WorkingSetBytes))
			gauge(series.Limit, float64(spec.Resources.Limits.Memory().Value()))
			gauge(series.Start, float64(c.StartTime.Unix()))
			gauge(series.Seen, float64(c.Memory.Time.Unix()))
		}
	}
	return out
}

// claimsOf a pod that are not known from another.
func claimsOf(told []stats.VolumeStats, known map[stats.PVCReference]bool) (out []prometheus.Metric) {
	for _, v := range told {
		if v.PVCRef == nil || v.UsedBytes == nil || v.CapacityBytes == nil || known[*v.PVCRef] {
			continue
		}
		known[*v.PVCRef] = true
		for d, bytes := range map[*prometheus.Desc]uint64{series.Used: *v.UsedBytes, series.Capacity: *v.CapacityBytes} {
			out = append(out, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(bytes), v.PVCRef.Namespace, v.PVCRef.Name))
		}
	}
	return out
}
