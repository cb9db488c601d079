package kubernetes_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"mockup.dev/mockup/config/rbac"
)

// cluster is a real kube-apiserver with etcd, and a simulation of what else a cluster has.
var cluster struct {
	config  *rest.Config
	manager *rest.Config // of the operator's account
	client  clientset.Interface
	node    *kubelet
}

func TestMain(m *testing.M) {
	code, err := withCluster(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withCluster(m *testing.M) (code int, err error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if _, err := os.Stat(filepath.Join(assets, "kube-apiserver")); err != nil {
		return 1, fmt.Errorf("these tests need a kube-apiserver and etcd: export KUBEBUILDER_ASSETS=$(hack/testbins): %w", err)
	}
	environment := &envtest.Environment{}
	config, err := environment.Start()
	if err != nil {
		return 1, fmt.Errorf("starting kube-apiserver and etcd of %s: %w", assets, err)
	}
	defer func() {
		if stopErr := environment.Stop(); err == nil {
			err = stopErr
		}
	}()
	config.QPS = -1
	cluster.config = config
	cluster.client = clientset.NewForConfigOrDie(config)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := ensureNamespace(ctx, "other"); err != nil {
		return 1, err
	}
	if cluster.manager, err = rbac.AsManager(ctx, config); err != nil {
		return 1, err
	}
	if cluster.node, err = startKubelet(ctx, cluster.client); err != nil {
		return 1, err
	}
	go (&simulator{client: cluster.client, node: cluster.node}).run(ctx)
	return m.Run(), nil
}

func ensureNamespace(ctx context.Context, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := cluster.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return nil
}

// line is a connection to the cluster on which requests that may change something are counted, and which can be cut.
type line struct {
	config *rest.Config
	dialer *connrotation.Dialer
	writes atomic.Int64
}

func newLine() *line {
	l := &line{config: rest.CopyConfig(cluster.manager)}
	l.dialer = connrotation.NewDialer((&net.Dialer{}).DialContext)
	l.config.Dial = l.dialer.DialContext
	l.config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/exec") {
				l.writes.Add(1)
			}
			return next.RoundTrip(r)
		})
	})
	return l
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
