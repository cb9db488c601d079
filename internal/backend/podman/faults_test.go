package podman

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// soakVariable has every call come to harm in every way; without it, a sample does.
const soakVariable = "MOCKUP_SOAK"

// A sample ends after sampleTime, but sampleLeast faults come about in each lane, if enough were tried.
const (
	sampleTime  = 40 * time.Second
	sampleLeast = 2
)

// lane is something that is done over and over, each time with another fault, to one owner.
type lane struct {
	name string
	// build says what is there before the first turn.
	build func(s *stack) manifests.Set
	// turn changes what is wanted; turns are numbered from 1.
	turn func(s *stack, set manifests.Set, n int) manifests.Set
	// cycle is after how many turns all is as it was.
	cycle int
}

func lanes() []lane {
	return []lane{
		{"apply from nothing, and delete", buildSmall, func(_ *stack, set manifests.Set, n int) manifests.Set {
			set.Remove = n%2 == 1
			return set
		}, 2},
		{"roll-out", buildRolled, func(_ *stack, set manifests.Set, n int) manifests.Set {
			variable(set.Objects[1].(*appsv1.Deployment), "TURN", fmt.Sprint(n))
			return set
		}, 1},
		{"recreate", buildRecreated, func(_ *stack, set manifests.Set, n int) manifests.Set {
			variable(set.Objects[1].(*appsv1.Deployment), "TURN", fmt.Sprint(n))
			return set
		}, 1},
		{"reload in place", buildReloaded, func(_ *stack, set manifests.Set, n int) manifests.Set {
			configure(set.Objects[1].(*appsv1.Deployment), set.Objects[2].(*corev1.ConfigMap), fmt.Sprint("turn ", n))
			return set
		}, 1},
		{"Job", buildNothing, func(s *stack, set manifests.Set, n int) manifests.Set {
			set.Objects = append(set.Objects[:1:1], s.job(fmt.Sprint("once", n), "sleep", "10ms"))
			return set
		}, 1},
	}
}

func buildNothing(s *stack) manifests.Set { return s.set() }

// buildSmall has one of everything.
func buildSmall(s *stack) manifests.Set {
	web, config, data := s.deployment("web"), s.config("settings", map[string]string{"message": "one"}), s.claim("data", "Delete")
	mounts(web, "config", "/config", fromConfig("settings"))
	mounts(web, "scratch", "/scratch", emptyDir())
	mounts(web, "data", "/data", fromClaim("data"))
	return s.set(web, config, data, s.service("web"))
}

// buildRolled has two pods with a hook.
func buildRolled(s *stack) manifests.Set {
	web, config := s.deployment("web"), s.config("settings", map[string]string{"message": "one"})
	web.Spec.Replicas = new(int32(2))
	mounts(web, "config", "/config", fromConfig("settings"))
	mounts(web, "scratch", "/scratch", emptyDir())
	mainOf(web).Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
		Exec: &corev1.ExecAction{Command: []string{guest.Path, "append", "/scratch/log", "stopping"}},
	}}
	return s.set(web, config, s.service("web"))
}

// buildRecreated has a pod whose volume is for one at a time.
func buildRecreated(s *stack) manifests.Set {
	web := s.deployment("web")
	mounts(web, "data", "/data", fromClaim("data"))
	return s.set(web, s.claim("data", "Delete"), s.service("web"))
}

func buildReloaded(s *stack) manifests.Set {
	web, config := s.deployment("web"), s.config("settings", map[string]string{"message": "one"})
	takesUp(web, config)
	return s.set(web, config, s.service("web"))
}

// TestFaultsAtEveryCall harms one call of an operator after the other while it does something, its death included: each
// time everything comes to the same end, with nothing left over and nobody else's objects touched. A sample of the calls
// unless MOCKUP_SOAK is set, in which case it takes half an hour or more.
func TestFaultsAtEveryCall(t *testing.T) {
	r := newRig(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var all sync.WaitGroup
	for i, l := range lanes() {
		all.Go(func() {
			t.Run(l.name, func(t *testing.T) {
				f := &faultLane{rig: r, t: t, lane: l, random: rand.New(rand.NewPCG(seed, uint64(i)))}
				f.run()
			})
		})
	}
	all.Wait()
}

// faultLane is a lane on the real Podman.
type faultLane struct {
	*rig
	lane
	t      *testing.T
	random *rand.Rand
	stack  *stack
	beside *bystander
	set    manifests.Set
	turns  int
	// missed are faults that did not come about: in that turn there was no such call.
	missed []string
}

func (l *faultLane) run() {
	begin := time.Now()
	if !l.begin() {
		return
	}
	clean := l.clean()
	if clean == nil {
		return
	}
	counted := len(clean)
	todo := l.schedule(clean)
	l.t.Logf("%d calls in a turn: %s", counted, inShort(clean))
	done, failed := 0, 0
	for _, f := range todo {
		sampled := done-len(l.missed) >= sampleLeast || done >= enough
		if os.Getenv(soakVariable) == "" && sampled && time.Since(begin) > sampleTime {
			break
		}
		done++
		if l.turnWith(f) {
			continue
		}
		if failed++; failed == mostFailures || !l.begin() { // what it left is in any state
			return
		}
	}
	l.t.Logf("%d of %d faults in %s; %d did not come about: %v", done, len(todo),
		time.Since(begin).Round(time.Second), len(l.missed), l.missed)
	if done >= enough && len(l.missed) > done/2 || len(l.missed) == done {
		l.t.Error("most faults did not come about")
	}
	l.do(manifests.Removal(l.stack.owner), fault{})
}

// enough faults to say of them that most did not come about. A call of one turn need not be made in another, when the machine
// has much else to do.
const enough = 10

// mostFailures are enough to see what is wrong.
const mostFailures = 5

// begin with a new owner.
func (l *faultLane) begin() bool {
	l.stack, l.turns = newStack(), 0
	l.set = l.build(l.stack)
	var err error
	if l.beside, err = l.plant(l.stack); err != nil {
		l.t.Error(err)
		return false
	}
	_, ok := l.do(l.set, fault{})
	return ok
}

// clean turns tell which calls there are.
func (l *faultLane) clean() []position {
	var all []position
	for range l.cycle {
		c, ok := l.next(fault{})
		if !ok {
			return nil
		}
		for _, p := range c.positions() {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}

// effects are the calls that change something.
func effects() []string {
	return []string{
		"play", "removePod", "restartPod", "connect", "disconnect", "createVolume", "fillVolume", "removeVolume",
		"createNetwork", "removeNetwork", "exec", "node.Put", "node.Delete", "startContainer", "setRestart",
	}
}

// schedule is every fault once, in an order in which every effect comes to harm early.
func (l *faultLane) schedule(all []position) []fault {
	var first, rest []fault
	for _, p := range all {
		for _, h := range allHarms() {
			if slices.Contains(effects(), p.name) {
				first = append(first, fault{p, h})
			} else {
				rest = append(rest, fault{p, h})
			}
		}
	}
	for _, list := range [][]fault{first, rest} {
		l.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	var mixed []fault // three effects, then one of the others
	for len(first)+len(rest) > 0 {
		n, m := min(3, len(first)), min(1, len(rest))
		mixed = append(append(mixed, first[:n]...), rest[:m]...)
		first, rest = first[n:], rest[m:]
	}
	return mixed
}

// turnWith takes a turn in which a fault comes about, if there is one in the cycle.
func (l *faultLane) turnWith(f fault) bool {
	for range l.cycle {
		c, ok := l.next(f)
		if !ok || c.hasFired() {
			return ok
		}
	}
	l.missed = append(l.missed, fmt.Sprintf("%s %s", f.position, f.harm))
	return true
}

// next takes the next turn.
func (l *faultLane) next(f fault) (*calls, bool) {
	l.turns++
	l.set = l.turn(l.stack, l.set, l.turns)
	return l.do(l.set, f)
}

// do has a new operator bring a set about, in spite of a fault.
func (l *faultLane) do(set manifests.Set, f fault) (*calls, bool) {
	if set.Remove {
		set = manifests.Removal(set.Owner)
	}
	o := l.operate(l.t, f)
	defer o.drop()
	o.beside = l.beside
	c, begin := o.calls, time.Now()
	if err := o.settle(set); err != nil {
		l.t.Errorf("turn %d, %s %s (came about: %t): %v", l.turns, f.position, f.harm, c.hasFired(), err)
		return c, false
	}
	if testing.Verbose() {
		l.t.Logf("turn %d, %s %s: %s", l.turns, f.position, f.harm, time.Since(begin).Round(time.Millisecond))
	}
	return c, true
}

// inShort lists how often each call was made.
func inShort(all []position) string {
	counts := map[string]int{}
	var names []string
	for _, p := range all {
		if counts[p.name] == 0 {
			names = append(names, p.name)
		}
		counts[p.name]++
	}
	slices.Sort(names)
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, counts[n])
	}
	return strings.Join(names, ", ")
}
