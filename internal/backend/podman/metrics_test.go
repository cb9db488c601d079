package podman

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/internal/backend/podman/node"
	"mockup.dev/mockup/manifests"
)

// scraped are the values by name and labels, in the form NAME{LABEL="VALUE",...} with labels in order.
type scraped map[string]float64

func parseMetrics(t *testing.T, text string) scraped {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	out := scraped{}
	for name, family := range families {
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			slices.Sort(labels)
			value := m.GetGauge().GetValue()
			if family.GetType() == dto.MetricType_COUNTER {
				value = m.GetCounter().GetValue()
			}
			if strings.HasSuffix(name, "_total") != (family.GetType() == dto.MetricType_COUNTER) {
				t.Errorf("%s is a %s", name, family.GetType())
			}
			out[name+"{"+strings.Join(labels, ",")+"}"] = value
		}
	}
	return out
}

// memoryBound is what the container of the test may have, in bytes.
const memoryBound = 64 << 20

// Pods reach the operator under its name, and find there what a kubelet would say of them, under a cluster's names.
func TestMetricsReachPods(t *testing.T) {
	p := newTrap(t)
	web, data := p.s.quiet("web"), p.s.claim("data", "Delete")
	data.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("5Gi")}
	mounts(web, "data", "/data", fromClaim("data"))
	mainOf(web).Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: *resource.NewQuantity(memoryBound, resource.BinarySI)}
	side := *mainOf(web).DeepCopy()
	side.Name, side.VolumeMounts = "side", nil
	web.Spec.Template.Spec.Containers = append(web.Spec.Template.Spec.Containers, side)
	set := p.ready(web, data, manifests.OperatorMetricsService(p.s.owner))
	p.offer(t)

	pod := p.pod("web", 0)
	if err := p.podman.do(http.MethodPost, "/containers/"+p.container(pod, "side")+"/kill", nil, nil); err != nil {
		t.Fatal(err)
	}
	labels := func(container string) string {
		return fmt.Sprintf(`{container=%q,image=%q,namespace=%q,pod=%q}`, container, guestImage, p.s.owner.Namespace, pod)
	}
	restarts := func(container string) string {
		return fmt.Sprintf(`kube_pod_container_status_restarts_total{container=%q,namespace=%q,pod=%q}`, container, p.s.owner.Namespace, pod)
	}
	claim := fmt.Sprintf(`{namespace=%q,persistentvolumeclaim="data"}`, p.s.owner.Namespace)
	now := float64(time.Now().Unix())
	bounds := map[string][2]float64{
		"container_cpu_usage_seconds_total" + labels("guest"):  {1e-6, 60},
		"container_memory_working_set_bytes" + labels("guest"): {100 << 10, memoryBound},
		"container_spec_memory_limit_bytes" + labels("guest"):  {memoryBound, memoryBound},
		"container_start_time_seconds" + labels("guest"):       {now - 120, now + 1},
		"container_last_seen" + labels("guest"):                {now - 10, now + 120},
		"container_cpu_usage_seconds_total" + labels("side"):   {1e-6, 60},
		restarts("guest"): {0, 0},
		restarts("side"):  {1, 1},
		"kubelet_volume_stats_capacity_bytes" + claim: {5 << 30, 5 << 30},
		"kubelet_volume_stats_used_bytes" + claim:     {0, 1 << 20},
	}
	within(t, patience, func() error {
		p.mustSettle(t, set)
		text, err := p.guest(pod, "guest", "get", fmt.Sprintf("http://%s:%d/metrics", manifests.OperatorService, manifests.OperatorMetricsPort))
		if err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		seen := parseMetrics(t, text+"\n")
		for name, bound := range bounds {
			if v, there := seen[name]; !there || v < bound[0] || v > bound[1] {
				return fmt.Errorf("%s is there %t, %v and not in %v; seen are %v", name, there, v, bound, slices.Sorted(maps.Keys(seen)))
			}
		}
		return nil
	})
	p.ready(web, data) // without the name there is nothing at the port
	if text, err := p.guest(pod, "guest", "get", fmt.Sprintf("http://%s.1:%d/metrics", p.s.subnet, manifests.OperatorMetricsPort)); err == nil {
		t.Errorf("the port of the node is open without a Service: %.80s", text)
	}
	p.gone()
	for name := range p.collected(t) {
		if strings.Contains(name, `"`+p.s.owner.Namespace+`"`) {
			t.Errorf("%s is left of an owner that is gone", name)
		}
	}
}

// offer the backend's metrics as the operator does.
func (p *trap) offer(t *testing.T) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(p.backend.Metrics())
	listener, err := node.ListenPort(p.dir, manifests.OperatorMetricsPort)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

// collected are the series of a collector that is new.
func (p *trap) collected(t *testing.T) scraped {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(p.backend.Metrics())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	return parseMetrics(t, text.String())
}

// A Service that leads to the node is had as written; one whose port can't be read is one of a cluster only.
func TestNodePortOfService(t *testing.T) {
	s := manifests.OperatorMetricsService(newStack().owner)
	if refused := unsupported(s); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	for _, port := range []string{"", "0", "53", "65536", "metrics"} {
		s.Annotations[manifests.AnnotationNodePort] = port
		if refused := unsupported(s); !refuses(refused, "spec.externalName") {
			t.Errorf("port %q: %v", port, refused)
		}
	}
}
