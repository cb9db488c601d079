package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/controllers"
	"mockup.dev/mockup/internal/backend/memory"
	"mockup.dev/mockup/internal/controlplane/controlplanetest"
	"mockup.dev/mockup/internal/statedir"
	"mockup.dev/mockup/manifests"
)

const rolledStack = `
apiVersion: mockup.dev/v1alpha1
kind: MockupStack
metadata: {name: shop, namespace: default}
spec:
  networks: [{name: net, subnet: 10.9.0.0/24}]
  services:
  - {name: web, image: "localhost/mockup/web:1", port: 80, networks: [{name: net}]}
  - {name: api, image: "localhost/mockup/api:1", port: 80, networks: [{name: net}], replicas: 2}
`

// live is a control plane with an operator and no containers.
type live struct {
	t     *testing.T
	state string
	world *memory.World
}

func startLive(t *testing.T) live {
	t.Helper()
	l := live{t: t, state: filepath.Join(t.TempDir(), "state"), world: memory.NewWorld()}
	dir, err := statedir.At(l.state)
	if err != nil {
		t.Fatal(err)
	}
	rest, stop, err := controlplanetest.Start(dir.ControlPlane())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, eventsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	unique := true
	mgr, err := ctrl.NewManager(rest, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &unique},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := controllers.Setup(mgr, controllers.Options{Backend: memory.New(l.world)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l
}

// call runs a verb, which must end with that exit code and say something.
func (l live) call(code int, says, line string) string {
	l.t.Helper()
	var out bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &out}
	got := run(l.t.Context(), append([]string{"mockup", "--state-dir", l.state}, strings.Fields(line)...), a)
	if got != code || !strings.Contains(out.String(), says) {
		l.t.Fatalf("%s: code %d, want %d; want %q in\n%s", line, got, code, says, out.String())
	}
	return out.String()
}

// edit changes the stack as kubectl would.
func (l live) edit(change func(*v1alpha1.MockupStack)) {
	l.t.Helper()
	dir, err := statedir.At(l.state)
	if err != nil {
		l.t.Fatal(err)
	}
	c, err := newClient(dir)
	if err != nil {
		l.t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		found, err := stackKind.subjects(l.t.Context(), c, "default")
		if err == nil && len(found) == 1 {
			s := found[0].Object.(*v1alpha1.MockupStack)
			change(s)
			err = c.Update(l.t.Context(), s)
			if err == nil {
				return
			}
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("the stack could not be changed: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestRolloutLive goes through a roll-out, one that fails, its undoing and a restart on a real API server.
func TestRolloutLive(t *testing.T) {
	l := startLive(t)
	l.call(exitFailed, "there is no stack in namespace default", "rollout status")
	dir, _ := statedir.At(l.state)
	c, err := newClient(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &v1alpha1.MockupStack{}
	if err := yaml.UnmarshalStrict([]byte(rolledStack), s); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	l.call(exitOK, "stack default/shop is rolled out: revision 1, 2 workloads", "rollout status --timeout 20s")
	l.call(exitUsage, `no service "wbe"`, "rollout status --service wbe")
	l.call(exitFailed, "there is no stack blog in namespace default, which has shop", "rollout status blog")
	l.call(exitFailed, "no revision before the current one", "rollout undo")
	l.call(exitFailed, "revision 7 of stack default/shop is not kept; there are: 1", "rollout undo shop --to-revision 7")

	l.world.Hold("localhost/mockup/api:2", true)
	l.edit(func(s *v1alpha1.MockupStack) { s.Spec.Services[1].Image = "localhost/mockup/api:2" })
	l.call(exitFailed, "api of stack default/shop is not rolled out in time: waiting for api (", "rollout status --service api --timeout 3s")
	l.call(exitOK, "web of stack default/shop is rolled out", "rollout status --service web --timeout 20s")
	l.call(exitFailed, "waiting for api (", "rollout status --watch=false")
	l.call(exitFailed, `"phase": "Progressing"`, "rollout status --watch=false -o json")
	l.call(exitOK, "stack default/shop goes back to revision 1: services[api].image", "rollout undo")
	l.call(exitOK, "revision 3, 2 workloads", "rollout status --timeout 20s")
	l.call(exitOK, "stack default/shop is what it was in revision 3 already", "rollout undo --to-revision 3")
	checkHistory(t, l.call(exitOK, "", "rollout history -o json"))
	l.call(exitOK, "3*        ", "rollout history")

	l.world.Missing("localhost/mockup/web:9", true)
	l.edit(func(s *v1alpha1.MockupStack) { s.Spec.Services[0].Image = "localhost/mockup/web:9" })
	l.call(exitFailed, "stack default/shop has failed: ImageUnavailable: Deployment/shop-web", "rollout status --timeout 60s")
	l.call(exitOK, "goes back to revision 3: services[web].image", "rollout undo")
	l.call(exitOK, `"phase": "Complete"`, "rollout status -o json")

	before := fmt.Sprint(l.world.Pods(manifests.StackOwner(s)))
	l.call(exitOK, "stack default/shop restarts web, api", "rollout restart all")
	l.call(exitOK, "is rolled out", "rollout status --timeout 20s")
	if after := fmt.Sprint(l.world.Pods(manifests.StackOwner(s))); after == before {
		t.Errorf("the pods are still %s", after)
	}
}

// checkHistory finds revision 2, and 1 again as 3.
func checkHistory(t *testing.T, text string) {
	t.Helper()
	var got struct{ Revisions []historyEntry }
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(got.Revisions) != 2 || got.Revisions[0].Revision != 2 || got.Revisions[1].Revision != 3 || !got.Revisions[1].Current ||
		fmt.Sprint(got.Revisions[1].Changes) != "[services[api].image]" || time.Since(got.Revisions[0].Created) > time.Hour {
		t.Errorf("got %s", text)
	}
}
