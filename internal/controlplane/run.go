package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	// namespaceTimeout is how long the namespace "default" may take to appear once the API server is ready.
	namespaceTimeout = 15 * time.Second
	// renewalPeriod is how often a running control plane looks whether its certificates must be replaced.
	renewalPeriod = 24 * time.Hour
)

// Options say where a control plane lives and what it serves.
type Options struct {
	// Dir holds all its state: data, keys, lock and kubeconfig. It is made with mode 0700 if missing.
	Dir string
	// Port of the API server on 127.0.0.1. 0 means the port of the last time, else a free one.
	Port int
	// OwnProcess says that this process does nothing else. Run then turns down its libraries' logs and trims its memory,
	// both of which can only be done for a process as a whole.
	OwnProcess bool
	// CRDs are applied at every start, over whatever was made of them in the meantime.
	CRDs []*apiextensionsv1.CustomResourceDefinition
}

// Run runs a control plane until ctx ends, stops it in at most 20 seconds (usually two) and returns nil, or an error if
// ctx ended before the control plane was ready.
//
// Once the API serves, its CRDs are established and the namespace "default" is there, ready is called
// with an administrator's configuration, the one that also stands in KubeconfigPath(Dir). Run goes on when it returns.
//
// If another process runs a control plane in Dir, the error is a *LockedError. An acknowledged write survives the death
// of the process at any moment.
func Run(ctx context.Context, o Options, ready func(*rest.Config)) error {
	if o.OwnProcess {
		if err := quietLogs(); err != nil {
			return err
		}
	}
	f, err := openFolder(o.Dir)
	if err != nil {
		return err
	}
	release, err := acquireLock(f)
	if err != nil {
		return err
	}
	defer release()

	ids, err := ensureIdentities(f.pki(), time.Now())
	if err != nil {
		return err
	}
	listener, err := listen(o.Port, rememberedPort(f))
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := writeKubeconfig(f, portOf(listener), ids); err != nil {
		return err
	}
	etcd, err := startEtcd(ctx, f)
	if err != nil {
		return err
	}
	defer etcd.Close()
	return serve(ctx, f, ids, listener, o, ready)
}

// serve runs API server and controllers on top of a running etcd. They end in the order of who calls whom.
func serve(ctx context.Context, f folder, ids *identities, l net.Listener, o Options, ready func(*rest.Config)) (err error) {
	server, err := startAPIServer(f, ids, l)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if err := server.waitReady(ctx); err != nil {
		return err
	}
	controllers, stopControllers := context.WithCancel(ctx)
	waitControllers, err := startControllers(controllers, server.client)
	if err != nil {
		stopControllers()
		return err
	}
	defer waitControllers()
	defer stopControllers()
	if err := applyCRDs(ctx, server.client, o.CRDs); err != nil {
		return err
	}
	if err := waitDefaultNamespace(ctx, server.client); err != nil {
		return err
	}
	config, err := restConfig(string(f))
	if err != nil {
		return err
	}
	ready(config)
	if o.OwnProcess {
		go saveMemory(ctx)
	}
	return watchOver(ctx, f, portOf(l), server)
}

// waitDefaultNamespace waits for the namespace that the API server itself makes in the background.
func waitDefaultNamespace(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client for namespaces: %w", err)
	}
	err = wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, namespaceTimeout, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("waiting for namespace %s: %w", metav1.NamespaceDefault, err)
	}
	return nil
}

// watchOver returns nil when ctx ends, or an error when the server ends before. Meanwhile it renews
// certificates; the API server notices new files by itself.
func watchOver(ctx context.Context, f folder, port int, server *apiServer) error {
	renewal := time.NewTicker(renewalPeriod)
	defer renewal.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-server.ended:
			return errors.New("the API server ended by itself")
		case now := <-renewal.C:
			ids, err := ensureIdentities(f.pki(), now)
			if err != nil {
				return fmt.Errorf("renewing certificates: %w", err)
			}
			if err := writeKubeconfig(f, port, ids); err != nil {
				return err
			}
		}
	}
}
