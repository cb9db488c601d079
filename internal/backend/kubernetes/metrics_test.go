package kubernetes_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kube "mockup.dev/mockup/internal/backend/kubernetes"
	"mockup.dev/mockup/manifests"
)

// TestMetricsOfKubelets asks a kubelet through a real API server, and one that does not answer, and finds the series of pods that
// have an owner.
func TestMetricsOfKubelets(t *testing.T) {
	ctx := context.Background()
	namespace := "measured"
	if _, err := cluster.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/summary.json")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/stats/summary" {
			http.NotFound(w, r)
			return
		}
		asked++
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	}))
	_ = server.Listener.Close()
	if server.Listener, err = net.Listen("tcp", net.JoinHostPort(ownAddress(t), "0")); err != nil {
		t.Fatal(err)
	}
	server.StartTLS()
	defer server.Close()
	addNode(t, "measured", server.Listener.Addr().(*net.TCPAddr))
	addNode(t, "mute", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})
	for _, p := range []struct {
		name, node string
		owner      string
		restarts   int32
	}{
		{"web-1", "measured", "MockupStack.measured.shop", 3}, {"web-2", "measured", "MockupStack.measured.shop", 0},
		{"theirs", "measured", "", 1}, {"web-3", "mute", "MockupStack.measured.shop", 2},
	} {
		uid := addPod(t, namespace, p.name, p.node, p.owner, p.restarts)
		text = bytes.ReplaceAll(text, []byte("UID-OF-"+p.name), []byte(uid))
	}
	text = bytes.ReplaceAll(text, []byte("NAMESPACE"), []byte(namespace))
	b, err := kube.New(cluster.manager)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(b.Metrics(testr.New(t)))
	want := `container_cpu_usage_seconds_total{container="web",image="localhost/web:1",namespace="measured",pod="web-1"} 12.5
container_cpu_usage_seconds_total{container="web",image="localhost/web:1",namespace="measured",pod="web-2"} 0.25
container_last_seen{container="web",image="localhost/web:1",namespace="measured",pod="web-1"} 1.795766401e+09
container_last_seen{container="web",image="localhost/web:1",namespace="measured",pod="web-2"} 1.795766402e+09
container_memory_working_set_bytes{container="web",image="localhost/web:1",namespace="measured",pod="web-1"} 2.097152e+07
container_memory_working_set_bytes{container="web",image="localhost/web:1",namespace="measured",pod="web-2"} 1.048576e+07
container_spec_memory_limit_bytes{container="web",image="localhost/web:1",namespace="measured",pod="web-1"} 6.7108864e+07
container_spec_memory_limit_bytes{container="web",image="localhost/web:1",namespace="measured",pod="web-2"} 6.7108864e+07
container_start_time_seconds{container="web",image="localhost/web:1",namespace="measured",pod="web-1"} 1.795762803e+09
container_start_time_seconds{container="web",image="localhost/web:1",namespace="measured",pod="web-2"} 1.795762804e+09
kube_pod_container_status_restarts_total{container="web",namespace="measured",pod="web-1"} 3
kube_pod_container_status_restarts_total{container="web",namespace="measured",pod="web-2"} 0
kube_pod_container_status_restarts_total{container="web",namespace="measured",pod="web-3"} 2
kubelet_volume_stats_capacity_bytes{namespace="measured",persistentvolumeclaim="shop-files"} 1.073741824e+09
kubelet_volume_stats_used_bytes{namespace="measured",persistentvolumeclaim="shop-files"} 2.14748365e+08`
	for range 2 {
		if got := seriesOf(t, registry, namespace); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	if asked != 1 {
		t.Errorf("the kubelet was asked %d times by two that came at once", asked)
	}
}

// seriesOf a namespace, in order.
func seriesOf(t *testing.T, g prometheus.Gatherer, namespace string) string {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	for line := range strings.Lines(text.String()) {
		if strings.Contains(line, `namespace="`+namespace+`"`) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// ownAddress of this machine beside loopback, where an API server leads nobody.
func ownAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Fatal("this machine has no address but loopback, by which an API server reaches no kubelet")
	return ""
}

// addNode whose kubelet listens there.
func addNode(t *testing.T, name string, at *net.TCPAddr) {
	t.Helper()
	nodes := cluster.client.CoreV1().Nodes()
	node, err := nodes.Create(context.Background(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nodes.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: at.IP.String()}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(at.Port)
	if _, err := nodes.UpdateStatus(context.Background(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// addPod that runs on a node, and returns its UID.
func addPod(t *testing.T, namespace, name, node, owner string, restarts int32) string {
	t.Helper()
	pods := cluster.client.CoreV1().Pods(namespace)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Name: "web", Image: "localhost/web:1",
			Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}},
		}}},
	}
	if owner != "" {
		pod.Labels = map[string]string{manifests.LabelOwner: owner}
	}
	made, err := pods.Create(context.Background(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = pods.Delete(context.Background(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
	})
	made.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", Image: "localhost/web:1", RestartCount: restarts}}
	if _, err := pods.UpdateStatus(context.Background(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	return string(made.UID)
}
