package podman_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest"
	"mockup.dev/mockup/internal/backend/podman"
	"mockup.dev/mockup/internal/backend/podman/node"
)

// TestMain has this program be the node agent that a backend starts: client and agent must be of the same build.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != "node" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	cmd := node.Command()
	cmd.SetArgs(os.Args[2:])
	err := cmd.ExecuteContext(ctx)
	stop()
	switch {
	case errors.As(err, new(*node.RunningError)):
		os.Exit(node.ExitRunning)
	case err != nil:
		os.Exit(1)
	}
}

// TestContract puts the backend to the contract on the real Podman of CONTAINER_HOST; hack/sandbox provides one.
func TestContract(t *testing.T) {
	host := socketOf(t)
	dir := t.TempDir()
	buildGuest(t, dir)
	backendtest.Run(t, backendtest.Harness{
		New: func(ct backendtest.T) (backend.Backend, backendtest.World) {
			p := startProxy(ct, host)
			w := &world{proxy: p, api: newAPI(host), guest: dir}
			return w.Another(ct), w
		},
		Image:        guestImage,
		MissingImage: "localhost/mockup/missing:1",
		Can: backendtest.Capabilities{
			Things:   []string{"PersistentVolumeClaim", "NetworkPolicy"},
			Taken:    []string{"PersistentVolumeClaim", "Deployment"},
			Networks: true, Names: true, RollOut: true, Surge: true, Jobs: true, JobRules: true, BackOff: true, Init: true,
			Hooks: true, Reload: true, Memory: memoryIsLimited(), Policies: true, Rebuild: true, Break: true,
			Harms: []backendtest.Harm{
				backendtest.HarmInfra, backendtest.HarmDisconnect, backendtest.HarmAddress, backendtest.HarmPolicies,
				backendtest.HarmStop, backendtest.HarmRemove, backendtest.HarmRename, backendtest.HarmUpdate, backendtest.HarmWipe,
			},
		},
		Refused: []backendtest.Refused{{
			Path: "spec.template.spec.volumes[scratch].emptyDir.sizeLimit",
			Change: func(d *appsv1.Deployment) {
				limit := resource.MustParse("1Mi")
				d.Spec.Template.Spec.Volumes = append(d.Spec.Template.Spec.Volumes, corev1.Volume{
					Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit}},
				})
			},
		}},
		Poll: 100 * time.Millisecond, Timeout: 60 * time.Second,
	})
}

// socketOf is the path of Podman's socket. These tests are about the real one and fail without it.
func socketOf(t *testing.T) string {
	t.Helper()
	path, ok := strings.CutPrefix(os.Getenv("CONTAINER_HOST"), "unix://")
	if !ok {
		t.Fatal("CONTAINER_HOST names no unix socket of a Podman service: run this test by hack/sandbox")
	}
	return path
}

const guestImage = "localhost/mockup/guest:1"

// buildGuest makes the image of the contract's guest program from a folder.
func buildGuest(t *testing.T, dir string) {
	t.Helper()
	containerfile := "FROM scratch\nCOPY guest /guest\nENTRYPOINT [\"/guest\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(containerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "guest"), "mockup.dev/mockup/internal/backend/backendtest/guest/cmd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	mustRun(t, build)
	mustRun(t, exec.Command("podman", "build", "--quiet", "--tag", guestImage, dir))
}

// memoryIsLimited tells whether this host lets anybody limit memory.
func memoryIsLimited() bool {
	_, v1 := os.Stat("/sys/fs/cgroup/memory")
	controllers, v2 := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	return v1 == nil || v2 == nil && slices.Contains(strings.Fields(string(controllers)), "memory")
}

func mustRun(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out.String())
	}
}

// Another implements backendtest.World.
func (w *world) Another(t backendtest.T) backend.Backend {
	log := testr.NewWithOptions(t.(*testing.T), testr.Options{Verbosity: 1})
	return podman.New(podman.Options{URI: "unix://" + w.proxy.path, Log: log})
}

var _ backendtest.World = (*world)(nil)
