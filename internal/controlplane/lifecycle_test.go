package controlplane_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"mockup.dev/mockup/internal/controlplane"
	"mockup.dev/mockup/internal/controlplane/controlplanetest"
)

// TestRunTwiceInOneProcess is what other suites rely on, and shows that a restart keeps objects, port and kubeconfig.
func TestRunTwiceInOneProcess(t *testing.T) {
	dir := t.TempDir()
	// Outside of the range in which a control plane looks for a port by itself, for others do at the same time.
	config, stop := runAt(t, dir, freePort(t))
	if _, err := clientFor(t, config).CoreV1().ConfigMaps("default").Create(t.Context(), configMap("kept"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	before := readFile(t, controlplane.KubeconfigPath(dir))
	// An open watch must not hold up the stop.
	watch, err := clientFor(t, config).CoreV1().ConfigMaps("").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	begin := time.Now()
	stop()
	t.Logf("stopped after %s", time.Since(begin).Round(time.Millisecond))
	if err := controlplane.Healthy(t.Context(), dir); !errors.Is(err, controlplane.ErrNotRunning) {
		t.Errorf("Healthy of a stopped control plane: got %v, want ErrNotRunning", err)
	}

	begin = time.Now()
	config, _ = runHere(t, dir)
	t.Logf("started again after %s", time.Since(begin).Round(time.Millisecond))
	if after := readFile(t, controlplane.KubeconfigPath(dir)); !bytes.Equal(before, after) {
		t.Errorf("the kubeconfig changed over a restart:\n%s\nand then\n%s", before, after)
	}
	if _, err := clientFor(t, config).CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{}); err != nil {
		t.Errorf("object written before the restart: %v", err)
	}
}

// TestSecondStartSaysWhoHoldsIt also holds for one process against another.
func TestSecondStartSaysWhoHoldsIt(t *testing.T) {
	dir := t.TempDir()
	process := startProcess(t, dir)
	begin := time.Now()
	err := controlplane.Run(t.Context(), controlplane.Options{Dir: dir}, func(*rest.Config) { t.Error("it became ready") })
	var locked *controlplane.LockedError
	if !errors.As(err, &locked) || locked.Holder.PID != process.PID || time.Since(locked.Holder.Since) > 5*time.Minute {
		t.Fatalf("second start: got %v, want a LockedError with process %d", err, process.PID)
	}
	if !strings.Contains(err.Error(), fmt.Sprintf("process %d since %s", process.PID, locked.Holder.Since.Local().Format(time.DateTime))) {
		t.Errorf("the message does not say who and since when: %v", err)
	}
	if waited := time.Since(begin); waited > 5*time.Second {
		t.Errorf("the second start needed %s to find out", waited)
	}
	holder, running, err := controlplane.Running(dir)
	if err != nil || !running || holder.PID != process.PID {
		t.Errorf("Running: got %v %v %v", holder, running, err)
	}
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
	if _, running, err := controlplane.Running(dir); err != nil || running {
		t.Errorf("Running after the end: got %v %v", running, err)
	}
}

// TestKillLosesNothingAcknowledged kills the process in the middle of writes, leaves damaged files behind as a power cut
// would, and starts again.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	process := startProcess(t, dir)
	acknowledged := make(chan []string)
	go func() { acknowledged <- writeUntilFailure(t.Context(), clientFor(t, process.Config)) }()
	eventually(t, 20*time.Second, func() error {
		list, err := clientFor(t, process.Config).CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
		if err == nil && len(list.Items) < 200 {
			err = fmt.Errorf("only %d objects yet", len(list.Items))
		}
		return err
	})
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	names := <-acknowledged

	if _, err := os.Stat(filepath.Join(dir, "etcd.sock")); err != nil {
		t.Fatalf("a killed process should have left its socket: %v", err)
	}
	certificate := filepath.Join(dir, "pki", "server.crt")
	if err := os.WriteFile(certificate, readFile(t, certificate)[:100], 0o644); err != nil {
		t.Fatal(err)
	}
	config, _ := runHere(t, dir)
	list, err := clientFor(t, config).CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, item := range list.Items {
		found[item.Name] = true
	}
	for _, name := range names {
		if !found[name] {
			t.Errorf("%s was acknowledged before the kill and is gone", name)
		}
	}
	t.Logf("%d objects acknowledged, %d found", len(names), len(list.Items))
}

// writeUntilFailure returns the names of the objects whose creation the server confirmed.
func writeUntilFailure(ctx context.Context, client kubernetes.Interface) (names []string) {
	for i := 0; ; i++ {
		name := fmt.Sprintf("written-%d", i)
		if _, err := client.CoreV1().ConfigMaps("default").Create(ctx, configMap(name), metav1.CreateOptions{}); err != nil {
			return names
		}
		names = append(names, name)
	}
}

// TestNothingElseListens guards against doors beside the API: etcd takes no password.
func TestNothingElseListens(t *testing.T) {
	dir := t.TempDir()
	process := startProcess(t, dir)
	sockets, err := process.Listening()
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(process.Config.Host, "https://")
	want := map[string]bool{"tcp " + address: true, "unix " + dir + "/etcd.sock": true, "unix " + dir + "/peer.sock": true}
	for _, socket := range sockets {
		if !want[socket] {
			t.Errorf("it also listens on %q", socket)
		}
		delete(want, socket)
	}
	if len(want) > 0 {
		t.Errorf("it does not listen on %v, but on %v", want, sockets)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "pki"): 0o700, controlplane.KubeconfigPath(dir): 0o600,
		filepath.Join(dir, "pki", "ca.key"): 0o600, filepath.Join(dir, "pki", "sa.key"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: got mode %v (%v), want %v", path, info.Mode().Perm(), err, mode)
		}
	}
}

// TestBadCRDEndsTheStart with every cause on a line of its own.
func TestBadCRDEndsTheStart(t *testing.T) {
	bad := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "things.example.com"}}
	bad.Spec.Group = "example.com"
	bad.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Plural: "things", Kind: "Thing"}
	err := controlplane.Run(t.Context(), controlplane.Options{Dir: t.TempDir(), CRDs: []*apiextensionsv1.CustomResourceDefinition{bad}},
		func(*rest.Config) { t.Error("it became ready") })
	if err == nil || !strings.Contains(err.Error(), "applying CRD things.example.com") || !strings.Contains(err.Error(), "\n  spec.versions: ") {
		t.Errorf("got %v", err)
	}
}

func startProcess(t *testing.T, dir string) *controlplanetest.Process {
	t.Helper()
	process, err := controlplanetest.StartProcess(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Stop() })
	return process
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// freePort is one that the kernel chooses.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
