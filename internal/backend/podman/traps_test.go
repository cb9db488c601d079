package podman

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// The tests of these files are named after what kube play does by itself. Each cites where, in Podman v5.8.4.

// trap is an owner on the real Podman, and its operator.
type trap struct {
	*operator
	t *testing.T
	s *stack
}

func newTrap(t *testing.T) *trap {
	t.Helper()
	t.Parallel()
	return newTrapAlone(t)
}

// newTrapAlone has Podman for itself while the test runs.
func newTrapAlone(t *testing.T) *trap {
	t.Helper()
	return &trap{t: t, s: newStack(), operator: newRig(t).operate(t, fault{})}
}

// ready brings objects about.
func (p *trap) ready(objects ...manifests.Object) manifests.Set {
	p.t.Helper()
	set := p.s.set(objects...)
	p.mustSettle(p.t, set)
	return set
}

// gone takes everything away at the end of a test.
func (p *trap) gone() {
	p.t.Helper()
	p.remove(p.t, p.s.owner)
}

// until applies set until a workload's state is as good says.
func (p *trap) until(set manifests.Set, workload string, good func(backend.State) error) {
	p.t.Helper()
	err := p.reach(set, nil, func(seen backend.Observation) error {
		for _, s := range seen.Objects {
			if s.Ref.Name == workload && (s.Ref.Kind == "Deployment" || s.Ref.Kind == "Job") {
				return good(s)
			}
		}
		return fmt.Errorf("nothing is said of %s", workload)
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// is complains unless a state has a reason, and its message all the words.
func is(reason string, words ...string) func(backend.State) error {
	return func(s backend.State) error {
		for _, w := range words {
			if !strings.Contains(s.Message, w) {
				return fmt.Errorf("it is %s, %s %q, which says nothing of %q", s.Phase, s.Reason, s.Message, w)
			}
		}
		if s.Reason != reason {
			return fmt.Errorf("it is %s, %s %q in place of %s", s.Phase, s.Reason, s.Message, reason)
		}
		return nil
	}
}

func (p *trap) pod(workload string, n int) string { return podName(p.s.owner.Namespace, workload, n) }

// guest runs a command of the guest program in a container of a pod, the first if it has no name.
func (p *trap) guest(pod, container string, args ...string) (string, error) {
	var out strings.Builder
	code, err := p.backend.Pods().Exec(p.ctx, backend.PodRef{Owner: p.s.owner, Pod: pod}, backend.ExecRequest{
		Container: container, Command: append([]string{guest.Path}, args...), Stdout: &out, Stderr: &out,
	})
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d", code)
	}
	return strings.TrimSpace(out.String()), err
}

func (p *trap) mustGuest(pod string, args ...string) string {
	p.t.Helper()
	out, err := p.guest(pod, "", args...)
	if err != nil {
		p.t.Fatalf("%v in %s: %v: %s", args, pod, err, out)
	}
	return out
}

// there is everything of the namespace.
// container is the ID of one that is there, for its name is another in every Podman.
func (p *trap) container(pod, name string) string {
	p.t.Helper()
	id := p.there().Pods[pod].IDs[containerName(pod, name)]
	if id == "" {
		p.t.Fatalf("there is no container %s of pod %s", name, pod)
	}
	return id
}

func (p *trap) there() *state {
	p.t.Helper()
	s, err := p.podman.look(p.s.owner.Namespace)
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// A new pod is named, and with replace an old one of the same name removed, by "Name=? OR ID LIKE name%"
// (libpod/sqlite_state.go:1409, from pkg/domain/infra/abi/play.go:907): a pod whose name is hexadecimal takes any pod
// along whose ID begins so. No name of ours is hexadecimal, for each has dashes.
func TestTrapHexNamedPodWithReplace(t *testing.T) {
	p := newTrap(t)
	hex := regexp.MustCompile(`^[0-9a-f]+$`)
	for _, name := range []string{"db", "f", "cafe", "0"} {
		if n := podName(name, name, 0); hex.MatchString(n) || hex.MatchString(testName(n, "0123456789abcdef")) {
			t.Errorf("pod %s of workload %s could be the beginning of an ID", n, name)
		}
	}
	var victims [2]struct{ ID string }
	for i := range victims {
		name := fmt.Sprintf("victim%d-%s", i, p.s.owner.Namespace)
		if err := p.podman.do(http.MethodPost, "/pods/create", map[string]any{"name": name, "no_infra": true}, &victims[i]); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.podman.do(http.MethodDelete, "/pods/"+victims[i].ID+"?force=true", nil, nil) })
	}
	alive := func(id string) bool { return p.podman.get("/pods/"+id+"/json", nil) == nil }

	plain := podDocument(victims[0].ID[:6], nil, "ns-plain") // what kube play does by itself
	if err := p.podman.do(http.MethodPost, "/play/kube?replace=true&start=false", plain, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.podman.do(http.MethodDelete, "/pods/"+victims[0].ID[:6]+"?force=true", nil, nil) })
	if alive(victims[0].ID) {
		t.Error("plain kube play does it no more: is this test still needed?")
	}

	d := p.s.quiet(victims[1].ID[:6])
	d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
	p.ready(d)
	variable(d, "TURN", "1")
	p.ready(d)
	p.gone()
	if !alive(victims[1].ID) {
		t.Errorf("pod %s went with workload %s", victims[1].ID, d.Name)
	}
}

// Containers are named POD-CONTAINER, and with replace one of the same name is removed, whosever pod it is in
// (pkg/specgen/generate/kube/kube.go:233, pkg/domain/infra/abi/play.go:1145).
func TestTrapCollidingContainerNames(t *testing.T) {
	for name, names := range map[string][4]string{
		"a-b/c and a/b-c":         {"a-b", "c", "a", "b-c"},
		"a-0-b/c and a/b-0-c":     {"a-0-b", "c", "a", "b-0-c"},
		"pod names within others": {"a", "a", "a-0", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTrap(t)
			one, other := p.s.quiet(names[0]), p.s.quiet(names[2])
			mainOf(one).Name, mainOf(other).Name = names[1], names[3]
			p.ready(one, other)
			id := p.container(p.pod(names[2], 0), names[3])
			variable(one, "TURN", "1")
			p.ready(one, other)
			if now := p.container(p.pod(names[2], 0), names[3]); now != id {
				t.Errorf("container %s of the other pod was touched: it is %s now", id, now)
			}
			p.gone()
		})
	}
}

// A sidecar's init container is waited for until it ends, which it never does: the call hangs and the main container stays
// Created (libpod/pod_api.go:34).
func TestTrapSidecarHangs(t *testing.T) {
	p := newTrap(t)
	d := p.s.quiet("web")
	d.Spec.Template.Spec.InitContainers = []corev1.Container{
		{Name: "once", Image: guestImage, ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{"exit", "0"}},
		{Name: "sidecar", Image: guestImage, ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{"serve"}, RestartPolicy: new(corev1.ContainerRestartPolicyAlways)},
	}
	p.ready(d)
	containers := p.there().Pods[p.pod("web", 0)].Containers
	for _, name := range []string{"guest", "sidecar"} {
		if got := containers[containerName(p.pod("web", 0), name)]; got != "running" {
			t.Errorf("container %s is %q: %v", name, got, containers)
		}
	}
	p.gone()
}

// A pod is kept locked while its programs are waited for (libpod/runtime_pod_common.go:241), and a list of pods asks each of
// them (libpod/pod_status.go): one slow program would hold up the repair of everything else.
func TestTrapSlowEndHoldsUpLists(t *testing.T) {
	p := newTrapAlone(t) // others' pods whose last container has ended hold up lists, too, on cgroup v1
	const slow, grace = 6 * time.Second, 3
	drains, ignores := p.s.deployment("drains", "serve", "-drain", slow.String()), p.s.deployment("ignores", "serve", "-drain", "1h")
	drains.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(2 * slow / time.Second))
	ignores.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(grace))
	p.ready(drains, ignores, p.s.quiet("stays"))
	all, begin, gone := p.there().Pods, time.Now(), map[string]time.Duration{}
	var longest time.Duration
	err := p.reach(p.s.set(p.s.quiet("stays")), nil, func(backend.Observation) error {
		asked := time.Now()
		left := p.there().Pods
		longest = max(longest, time.Since(asked))
		for name := range all {
			if _, there := left[name]; !there && gone[name] == 0 {
				gone[name] = time.Since(begin)
			}
		}
		if len(left) > 1 {
			return fmt.Errorf("left are %v", slices.Sorted(maps.Keys(left)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("gone are %v; the longest list took %s", gone, longest)
	if longest > grace*time.Second/2 {
		t.Errorf("a list took %s", longest)
	}
	if after := gone[p.pod("drains", 0)]; after < slow {
		t.Errorf("a program that took %s to end was gone after %s", slow, after)
	}
	if after := gone[p.pod("ignores", 0)]; after < grace*time.Second || after > slow {
		t.Errorf("a program with a grace of %d s was gone after %s", grace, after)
	}
	p.gone()
}

// A dead infra container is not repaired: the pod is Degraded, its program runs on without its names, and a start of the
// pod makes a new network namespace which the others do not join (libpod/container_internal.go:1677: they joined the old
// one by its path).
func TestTrapInfraDeath(t *testing.T) {
	p := newTrap(t)
	web := p.s.deployment("web")
	set := p.ready(web, p.s.service("web"))
	pid := p.infraPID(p.pod("web", 0))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	err := p.reach(set, nil, func(seen backend.Observation) error {
		if now := p.infraPID(p.pod("web", 0)); now == pid || now == 0 {
			return fmt.Errorf("the infra container is process %d", now)
		}
		return isSettledAs(set, seen)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("repaired within %s", time.Since(begin).Round(time.Millisecond))
	if out := p.mustGuest(p.pod("web", 0), "get", "http://web:8080/hello"); out != "/hello" {
		t.Errorf("the program has no network: it gets %q", out)
	}
	p.gone()
}

// infraPID is 0 if the infra container does not run.
func (p *trap) infraPID(pod string) int {
	var found struct{ InfraContainerID string }
	var infra struct{ State struct{ Pid int } }
	if p.podman.get("/pods/"+pod+"/json", &found) != nil || p.podman.get("/containers/"+found.InfraContainerID+"/json", &infra) != nil {
		return 0
	}
	return infra.State.Pid
}

// Containers that fail to start come in an answer with status 200 (pkg/domain/infra/abi/play.go:1168).
func TestTrapFailedStartWithStatus200(t *testing.T) {
	p := newTrap(t)
	holder, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	port := holder.Addr().(*net.TCPAddr).Port
	web := p.s.deployment("web")
	mainOf(web).Ports[0].HostPort = int32(port)
	set := p.s.set(web)
	p.until(set, "web", is(backend.ReasonPortInUse, fmt.Sprint(port)))
	_ = holder.Close() // the port is free from here on
	p.mustSettle(t, set)
	p.gone()
}

// What a failed play has made stays: a pod that is Created, containers, volumes (play.go has no roll-back: every return
// with an error after pkg/domain/infra/abi/play.go:912 leaves them). The next one then fails because the pod exists.
func TestTrapHalfMadePodOfFailedPlay(t *testing.T) {
	p := newTrap(t)
	web := p.s.quiet("web")
	web.Spec.Template.Spec.Containers = append(web.Spec.Template.Spec.Containers, corev1.Container{
		Name: "broken", Image: guestImage, ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"/nowhere"},
	})
	config := p.s.config("settings", map[string]string{"a": "1"})
	mounts(web, "config", "/config", fromConfig("settings"))
	set := p.s.set(web, config)
	p.until(set, "web", is(backend.ReasonStartFailed, "/nowhere"))
	p.until(set, "web", func(s backend.State) error {
		there := p.there()
		if len(there.Pods)+len(there.Containers)+len(there.Volumes) > 0 {
			return fmt.Errorf("a failed play left %s", there)
		}
		return is(backend.ReasonStartFailed)(s)
	})
	web.Spec.Template.Spec.Containers[1].Command, web.Spec.Template.Spec.Containers[1].Args = nil, []string{"sleep", "1h"}
	p.mustSettle(t, set)
	p.gone()
}

// replace removes the old pod before it looks for the images of the new one (pkg/domain/infra/abi/play.go:907, 1048), so
// that a missing image is an outage.
func TestTrapMissingImageWithReplace(t *testing.T) {
	for _, strategy := range []appsv1.DeploymentStrategyType{appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType} {
		t.Run(string(strategy), func(t *testing.T) {
			p := newTrap(t)
			web := p.s.deployment("web")
			web.Spec.Strategy.Type = strategy
			set := p.ready(web, p.s.service("web"))
			before := p.there()
			mainOf(web).Image = "localhost/mockup/missing:1"
			p.until(set, "web", is(backend.ReasonImagePull, "localhost/mockup/missing:1"))
			if now := p.there(); !before.same(now) {
				t.Errorf("something changed: there was %s, there is %s", before, now)
			}
			if found, err := p.resolve(p.s, "web"); err != nil || len(found) != 1 {
				t.Errorf("the name leads to %v (%v)", found, err)
			}
			mainOf(web).Image = guestImage
			p.mustSettle(t, set)
			p.gone()
		})
	}
}

// An address belongs to one pod (go.podman.io/common/libnetwork/netavark/ipam.go:122), and the addresses of a call go to
// every pod of it (pkg/domain/infra/abi/play.go:703: "very hard to support"): a second pod does not start.
func TestTrapFixedAddressOfTwoPods(t *testing.T) {
	p := newTrap(t)
	web := p.s.deployment("web")
	fixed := p.s.subnet + ".10"
	web.Spec.Replicas = new(int32(2))
	web.Spec.Template.Annotations[manifests.AnnotationIPPrefix+"public"] = fixed
	set := p.ready(web)
	bearer := ""
	serving := func(seen backend.Observation) error {
		state, _ := seen.Find(manifests.RefOf(web))
		bearers := map[string]string{}
		for _, pod := range state.Pods {
			bearers[pod.Addresses["public"]] = pod.Name
		}
		bearer = bearers[fixed]
		if len(bearers) != 2 || bearer == "" {
			return fmt.Errorf("the pods have the addresses %v; one of them should have %s", bearers, fixed)
		}
		client := http.Client{Timeout: time.Second}
		resp, err := client.Get("http://" + fixed + ":8080/")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	if err := p.reach(set, nil, serving); err != nil {
		t.Fatal(err)
	}
	first := bearer
	if err := p.podman.do(http.MethodDelete, "/pods/"+first+"?force=true&timeout=0", nil, nil); err != nil {
		t.Fatal(err)
	}
	err := p.reach(set, nil, func(seen backend.Observation) error {
		if err := isSettledAs(set, seen); err != nil {
			return err
		}
		return serving(seen)
	})
	if err != nil {
		t.Errorf("after its bearer %s was removed: %v", first, err)
	}
	p.gone()
}

// Every container's name is a DNS name of its pod from its creation on, ready or not (pkg/domain/infra/abi/play.go:891).
func TestTrapNeverReadyPodResolves(t *testing.T) {
	p := newTrap(t)
	web, asker := p.s.deployment("web", "serve", "-never-ready"), p.s.quiet("asker")
	mainOf(web).Name = "web" // like its Service
	set := p.s.set(web, asker, p.s.service("web"), p.s.service("asker"))
	p.until(set, "web", is(backend.ReasonUnready))
	p.until(set, "asker", func(s backend.State) error {
		if s.Ready != 1 {
			return fmt.Errorf("%d pods are ready", s.Ready)
		}
		return nil
	})
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		for _, name := range []string{"web", "web." + p.s.owner.Namespace, p.pod("web", 0), containerName(p.pod("web", 0), "web")} {
			// A name that nobody bears may be asked of the world, which does not answer here.
			if out, err := p.guest(p.pod("asker", 0), "", "resolve", name); err == nil && out != "" {
				t.Fatalf("%s leads to %s, which has never been ready", name, out)
			}
		}
	}
	if out := p.mustGuest(p.pod("asker", 0), "resolve", "asker"); out == "" {
		t.Error("no name resolves at all, so that this test says nothing")
	}
	p.gone()
}

// The number of replicas is not looked at (pkg/domain/infra/abi/play.go:579): none is one.
func TestTrapNoReplicas(t *testing.T) {
	p := newTrap(t)
	web := p.s.deployment("web")
	web.Spec.Replicas = new(int32(0))
	set := p.s.set(web)
	p.mustSettle(t, set)
	if pods := p.there().Pods; len(pods) != 0 {
		t.Errorf("there are the pods %v", pods)
	}
	web.Spec.Replicas = new(int32(1))
	p.mustSettle(t, set)
	web.Spec.Replicas = new(int32(0))
	p.mustSettle(t, set)
	p.gone()
}

// Networks whose names are also modes are refused (pkg/domain/infra/abi/network.go:184).
func TestTrapNetworkNamedLikeMode(t *testing.T) {
	p := newTrap(t)
	web := p.s.deployment("web")
	objects := []manifests.Object{web}
	// Fresh subnets beyond the one that a stack has.
	for i, name := range []string{"private", "host", "none", "default"} {
		objects = append(objects, p.s.network(name, fmt.Sprintf("10.1%d.%s.0/24", 40+i, strings.Split(p.s.subnet, ".")[2])))
	}
	p.ready(objects...)
	var found struct {
		NetworkSettings struct{ Networks map[string]any }
	}
	var infra struct{ InfraContainerID string }
	if err := p.podman.get("/pods/"+p.pod("web", 0)+"/json", &infra); err != nil {
		t.Fatal(err)
	}
	if err := p.podman.get("/containers/"+infra.InfraContainerID+"/json", &found); err != nil {
		t.Fatal(err)
	}
	if on := slices.Sorted(maps.Keys(found.NetworkSettings.Networks)); len(on) != 5 {
		t.Errorf("the pod is on the networks %v", on)
	}
	p.gone()
}

// A pod on networks is never on the host's, whatever it says (pkg/domain/infra/abi/play.go:667): it is told so.
func TestTrapHostNetworkIsOverridden(t *testing.T) {
	s := newStack()
	web := s.deployment("web")
	web.Spec.Template.Spec.HostNetwork = true
	web.Spec.Template.Labels[manifests.LabelNetworkPrefix+"public"] = "true"
	if r := unsupported(web); !refuses(r, "spec.template.spec.hostNetwork") {
		t.Errorf("it is not said: %v", r)
	}
}

func refuses(all []backend.Refusal, path string) bool {
	return slices.ContainsFunc(all, func(r backend.Refusal) bool { return r.Path == path && r.Reason != "" })
}
