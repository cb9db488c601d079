// Package operator runs the controllers: on a laptop against the local control plane and Podman, in a cluster against
// both of the cluster's. Which is a matter of flags.
package operator

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/kubernetes"
	"mockup.dev/mockup/internal/backend/podman"
	"mockup.dev/mockup/internal/imagemap"
	"mockup.dev/mockup/internal/podmansocket"
)

// The backends.
const (
	Podman     = "podman"
	Kubernetes = "kubernetes"
)

// Options of Run.
type Options struct {
	// Kubeconfig of the API server; empty for $KUBECONFIG, else the service account of the pod, else ~/.kube/config.
	Kubeconfig string
	// Backend is Podman or Kubernetes.
	Backend string
	// PodmanSocket is the URI of Podman's socket; empty for the first that answers.
	PodmanSocket string
	// ImageMap is the file that says which image is run in place of which; empty for none.
	ImageMap string
	// MetricsAddress serves Prometheus metrics at /metrics; "0" for nowhere.
	MetricsAddress string
	// ProbeAddress serves /healthz and /readyz; "0" for nowhere.
	ProbeAddress string
	// LeaderElection lets one of several operators work at a time.
	LeaderElection bool
	// LeaderElectionNamespace holds its Lease; empty for the operator's own.
	LeaderElectionNamespace string
	// Ready is called once the caches are filled and the controllers run; nil for nobody.
	Ready func()
	Log   logr.Logger
}

// AddFlags makes flags of the options; what they hold is the default.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "kubeconfig of the API server (default $KUBECONFIG, in a pod its service account)")
	flags.StringVar(&o.Backend, "backend", o.Backend, "where stacks run: podman or kubernetes")
	flags.StringVar(&o.PodmanSocket, "podman-socket", o.PodmanSocket, "URI of Podman's socket (default $CONTAINER_HOST, else where Podman has it)")
	flags.StringVar(&o.ImageMap, "image-map", o.ImageMap, "YAML file that maps image references to those that are run in their place")
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", o.MetricsAddress, "address of /metrics, e.g. 127.0.0.1:8080; 0 for nowhere")
	flags.StringVar(&o.ProbeAddress, "health-probe-bind-address", o.ProbeAddress, "address of /healthz and /readyz, e.g. :8081; 0 for nowhere")
	flags.BoolVar(&o.LeaderElection, "leader-elect", o.LeaderElection, "let one of several operators work at a time")
	flags.StringVar(&o.LeaderElectionNamespace, "leader-election-namespace", o.LeaderElectionNamespace, "namespace of the Lease for it (default: that of the pod)")
}

// Validate is an error if the options contradict themselves.
func (o *Options) Validate() error {
	if o.Backend != Podman && o.Backend != Kubernetes {
		return fmt.Errorf("--backend is %q, and must be %s or %s", o.Backend, Podman, Kubernetes)
	}
	if o.Backend == Kubernetes && o.PodmanSocket != "" {
		return fmt.Errorf("--podman-socket has no meaning with --backend %s", Kubernetes)
	}
	return nil
}

// config of the API server's client.
func (o *Options) config() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	inPod := os.Getenv("KUBERNETES_SERVICE_HOST") != "" && o.Kubeconfig == "" && os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == ""
	var config *rest.Config
	var err error
	if inPod {
		config, err = rest.InClusterConfig()
	} else {
		config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	}
	if err != nil {
		return nil, fmt.Errorf("finding the API server: %w", err)
	}
	config.QPS = -1 // what holds us back is the server's own priority and fairness
	config.UserAgent = "mockup-operator"
	return config, nil
}

func (o *Options) backend(ctx context.Context, config *rest.Config) (backend.Backend, error) {
	if o.Backend == Kubernetes {
		b, err := kubernetes.New(config)
		if err != nil {
			return nil, fmt.Errorf("making the backend: %w", err)
		}
		return b, nil
	}
	uri, err := podmansocket.Find(ctx, o.PodmanSocket)
	if err != nil { // Podman may come later: the stacks' conditions say so until then
		uri = podmansocket.Candidates(o.PodmanSocket)[0]
		o.Log.Info("Podman does not answer yet", "socket", uri, "error", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return podman.New(podman.Options{URI: uri, Log: o.Log.WithName("podman")}), nil
}

func (o *Options) images() (map[string]string, error) { return imagemap.Load(o.ImageMap) }
