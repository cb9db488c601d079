package podman

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// badTime is how long Podman's service is gone, or answers wrongly; longer, up to badTimeMost, when nobody has asked it by then.
const (
	badTime     = 3 * time.Second
	badTimeMost = 60 * time.Second
)

// busy is more requests a second than an operator may make of a service that does not answer as it should: by its own
// back-off it makes fewer than ten passes in badTime, of some calls each.
const busy = 12

// TestServiceAnswersWrongly has the service answer late, wrongly, or not at all, from the first call on and in the midst
// of a roll-out: the operator says so, asks again at its leisure, and needs nobody's help when the service has recovered.
func TestServiceAnswersWrongly(t *testing.T) {
	r := newRig(t)
	for name, spoil := range map[string]spoiler{
		"500 with garbage": garbled, "truncated JSON": halved, "200 without a body": emptied, "no socket": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := newBadProxy(t, r.socket), newStack()
			o := r.operateBy(t, p)
			set := buildSmall(s)
			o.endure(t, p, spoil, set, 0)
			variable(set.Objects[1].(*appsv1.Deployment), "TURN", "1")
			o.endure(t, p, spoil, set, 300*time.Millisecond)
			o.remove(t, s.owner)
		})
	}
}

// operateBy starts an operator that reaches Podman by a proxy.
func (r *rig) operateBy(t *testing.T, p *badProxy) *operator {
	o := r.operate(t, fault{})
	o.drop()
	o.uri = "unix://" + p.path
	o.start(fault{})
	return o
}

// endure a bad time that begins some time after set is applied.
func (o *operator) endure(t *testing.T, p *badProxy, spoil spoiler, set manifests.Set, after time.Duration) {
	t.Helper()
	var over sync.WaitGroup
	over.Go(func() {
		time.Sleep(after)
		worsen(p, spoil)
		begin, requests, calls := time.Now(), p.requests.Load(), o.calls.total()
		time.Sleep(badTime)
		for o.calls.total() == calls && time.Since(begin) < badTimeMost { // one that was asked before is still at it
			time.Sleep(50 * time.Millisecond)
		}
		took := time.Since(begin)
		requests, calls = p.requests.Load()-requests, o.calls.total()-calls
		improve(p, spoil)
		t.Logf("in %s: %d requests, %d calls", took, requests, calls)
		if rate := float64(max(requests, int64(calls))) / took.Seconds(); rate > busy {
			t.Errorf("%d requests and %d calls in %s: that is a busy loop", requests, calls, took)
		}
	})
	o.errs = nil
	err := o.settle(set)
	over.Wait()
	if err != nil {
		t.Errorf("it did not recover: %v", err)
	}
	if len(o.errs) == 0 {
		t.Error("nobody was told that Podman does not answer")
	}
	for _, err := range o.errs[:min(1, len(o.errs))] {
		t.Logf("told: %v", err)
	}
}

func worsen(p *badProxy, spoil spoiler) {
	if spoil == nil {
		p.vanish()
	}
	p.become(spoil)
}

func improve(p *badProxy, spoil spoiler) {
	p.become(nil)
	if spoil == nil {
		p.appear()
	}
}

// TestServiceAnswersSlowly: half a second for every answer makes everything slow and nothing wrong.
func TestServiceAnswersSlowly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, s := newBadProxy(t, r.socket), newStack()
	p.become(slowed)
	o := r.operateBy(t, p)
	set := buildSmall(s)
	o.mustSettle(t, set)
	variable(set.Objects[1].(*appsv1.Deployment), "TURN", "1")
	o.mustSettle(t, set)
	if len(o.errs) > 0 {
		t.Errorf("slow answers are no errors: %v", o.errs)
	}
	p.become(nil)
	o.remove(t, s.owner)
}

// TestServiceKilledBeforeStart is what a service leaves that is killed between the two steps of a start: a container that
// is neither created nor running (libpod/container_internal.go, init and start), in a pod that is Degraded.
func TestServiceKilledBeforeStart(t *testing.T) {
	r, s := newRig(t), newStack()
	o := r.operate(t, fault{})
	o.mustSettle(t, s.set())
	web := s.quiet("web")
	set := s.set(web)
	want, err := translate(set, "")
	if err != nil {
		t.Fatal(err)
	}
	pod := want.workloads[0].pod
	path := "/play/kube?start=false&nopodprefix=true&network=" + pod.request.networks[0]
	if err := r.podman.do(http.MethodPost, path, pod.request.document, nil); err != nil {
		t.Fatal(err)
	}
	played, err := r.podman.look(s.owner.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	id := played.Pods[pod.name].IDs[containerName(pod.name, "guest")]
	if err := r.podman.do(http.MethodPost, "/containers/"+id+"/init", nil, nil); err != nil {
		t.Fatal(err)
	}
	if there, _ := r.podman.look(s.owner.Namespace); there.Pods[pod.name].Containers[containerName(pod.name, "guest")] != "initialized" {
		t.Fatalf("there is %s", there)
	}
	o.mustSettle(t, set)
	o.remove(t, s.owner)
}

// TestServiceKilled kills Podman's service in the midst of an apply and of a roll-out of several owners, and starts it
// again as systemd would.
func TestServiceKilled(t *testing.T) {
	r := newRig(t)
	operators := map[*operator]manifests.Set{}
	for range 3 {
		operators[r.operate(t, fault{})] = buildSmall(newStack())
	}
	each := func(do func(o *operator, set manifests.Set)) {
		var all sync.WaitGroup
		for o, set := range operators {
			all.Go(func() { do(o, set) })
		}
		all.Wait()
	}
	turns := 2
	if os.Getenv(soakVariable) != "" {
		turns = 20
	}
	for turn := range turns {
		var over sync.WaitGroup
		after := 100*time.Millisecond + rand.N(600*time.Millisecond)
		t.Logf("turn %d: killed after %s", turn, after.Round(time.Millisecond))
		over.Go(func() { r.restartService(t, after, badTime, operators) })
		each(func(o *operator, set manifests.Set) {
			variable(set.Objects[1].(*appsv1.Deployment), "TURN", fmt.Sprint(turn))
			o.errs = nil
			begin := time.Now()
			if err := o.settle(set); err != nil {
				t.Errorf("turn %d: %v", turn, err)
			}
			if len(o.errs) == 0 && time.Since(begin) > badTime { // it was not done before
				t.Errorf("turn %d: nobody was told that Podman is gone", turn)
			}
		})
		over.Wait()
	}
	each(func(o *operator, set manifests.Set) {
		if err := o.settle(manifests.Removal(set.Owner)); err != nil {
			t.Errorf("removing: %v", err)
		}
	})
}

// restartService kills Podman's service after a time, and starts it again when it has been gone for a time.
func (r *rig) restartService(t *testing.T, after, gone time.Duration, operators map[*operator]manifests.Set) {
	const pidFile = "/run/podman/podman.pid"
	time.Sleep(after)
	content, err := os.ReadFile(pidFile)
	if err != nil {
		t.Error(err)
		return
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(content))) // 0 would be this very process group
	if pid <= 1 {
		t.Errorf("%s names no process: %q", pidFile, content)
		return
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	before := totalOf(operators)
	time.Sleep(gone)
	made := totalOf(operators) - before
	t.Logf("%d calls of %d operators in %s without a service", made, len(operators), gone)
	if made/len(operators)/int(gone.Seconds()) > busy {
		t.Errorf("%d calls in %s: that is a busy loop", made, gone)
	}
	service := exec.Command("podman", "system", "service", "--time=0", "unix://"+r.socket)
	service.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CONTAINER_HOST=") })
	service.Dir = filepath.Dir(r.socket) // conmon leaves files where it is
	if err := service.Start(); err != nil {
		t.Error(err)
		return
	}
	go func() { _ = service.Wait() }() // it ends with the sandbox
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(service.Process.Pid)+"\n"), 0o600); err != nil {
		t.Error(err)
	}
}

func totalOf(operators map[*operator]manifests.Set) int {
	n := 0
	for o := range operators {
		n += o.calls.total()
	}
	return n
}

// TestNodeAgentKilled kills the node agent in the midst of a roll-out, and while nothing happens: names are served again,
// and the roll-out comes to its end.
func TestNodeAgentKilled(t *testing.T) {
	r := newRig(t)
	s := newStack()
	o, set := r.operate(t, fault{}), buildRolled(s)
	o.mustSettle(t, set)
	variable(set.Objects[1].(*appsv1.Deployment), "TURN", "1")
	pods, _ := o.whole(set, nil)
	killed := false
	err := o.reach(set, func(answer) {
		if now, _ := o.whole(set, nil); !killed && !pods.same(now) {
			killed = true
			r.killNode(t)
		}
	}, func(seen backend.Observation) error {
		if err := isSettledAs(set, seen); err != nil {
			return err
		}
		_, err := o.whole(set, nil)
		return err
	})
	if err != nil || !killed {
		t.Fatalf("the roll-out did not come to its end: %v (killed: %t)", err, killed)
	}
	if found, err := r.resolve(s, "web"); err != nil || len(found) != 2 {
		t.Errorf("the name leads to %v (%v) after the roll-out", found, err)
	}
	r.killNode(t)
	begin := time.Now()
	var found []string
	err = o.reach(set, nil, func(backend.Observation) error { found, err = r.resolve(s, "web"); return err })
	took := time.Since(begin)
	if err != nil || len(found) != 2 {
		t.Fatalf("the name leads to %v (%v)", found, err)
	}
	t.Logf("names were served again after %s", took.Round(time.Millisecond))
	o.remove(t, s.owner)
}

func (r *rig) killNode(t *testing.T) {
	t.Helper()
	pid, err := r.nodePID()
	if err != nil || pid <= 1 {
		t.Fatalf("which process is the node agent: %d, %v", pid, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("killing the node agent: %v", err)
	}
}
