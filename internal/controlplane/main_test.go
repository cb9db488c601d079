package controlplane_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"mockup.dev/mockup/config/crd"
	"mockup.dev/mockup/internal/controlplane"
)

// stopBound is what a stop may take in these tests, on a machine that does other things too.
const stopBound = 20 * time.Second

// runHere runs a control plane in this process until stop or the end of the test.
func runHere(t *testing.T, dir string) (config *rest.Config, stop func()) {
	t.Helper()
	return runAt(t, dir, 0)
}

// runAt does so at a port; 0 leaves the choice to it.
func runAt(t *testing.T, dir string, port int) (config *rest.Config, stop func()) {
	t.Helper()
	crds, err := crd.Objects()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan *rest.Config, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- controlplane.Run(ctx, controlplane.Options{Dir: dir, Port: port, CRDs: crds}, func(c *rest.Config) { ready <- c })
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("control plane ended with: %v", err)
			}
		case <-time.After(stopBound):
			t.Fatalf("control plane did not stop within %s", stopBound)
		}
	}
	select {
	case config = <-ready:
	case err := <-ended:
		t.Fatalf("control plane did not start: %v", err)
	case <-time.After(2 * time.Minute):
		t.Fatal("control plane not ready after two minutes")
	}
	t.Cleanup(stop)
	return config, stop
}

func clientFor(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// eventually tries until check returns nil; what it said last is the failure.
func eventually(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", limit, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// kubectl is a kubectl that uses one kubeconfig and leaves nothing in the home folder.
type kubectl struct {
	t          *testing.T
	kubeconfig string
}

func newKubectl(t *testing.T, dir string) kubectl {
	t.Helper()
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Fatalf("these tests need kubectl: %v", err)
	}
	return kubectl{t: t, kubeconfig: controlplane.KubeconfigPath(dir)}
}

func (k kubectl) command(stdin string, arguments ...string) *exec.Cmd {
	command := exec.Command("kubectl", arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+k.kubeconfig, "KUBECACHEDIR="+k.t.TempDir())
	command.Stdin = strings.NewReader(stdin)
	return command
}

// run returns what kubectl printed and fails the test if it failed.
func (k kubectl) run(stdin string, arguments ...string) string {
	k.t.Helper()
	out, err := k.command(stdin, arguments...).CombinedOutput()
	if err != nil {
		k.t.Fatalf("kubectl %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// refused expects kubectl to fail with a message that contains reason.
func (k kubectl) refused(reason, stdin string, arguments ...string) {
	k.t.Helper()
	out, err := k.command(stdin, arguments...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(out), reason) {
		k.t.Errorf("kubectl %s: want a failure saying %q, got %v\n%s", strings.Join(arguments, " "), reason, err, out)
	}
}
