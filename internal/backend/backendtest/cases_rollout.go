package backendtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

var rollOutCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name:    "a roll-out with a surge never has fewer pods ready than wanted, nor more than one more",
	Without: needsSurge,
	run:     func(e *env) { e.rollsWithin(3, intstr.FromInt32(1), intstr.FromInt32(0), 4, 3) },
}, {
	Name:    "a roll-out without a surge never has more pods than wanted",
	Without: needsSurge,
	run:     func(e *env) { e.rollsWithin(3, intstr.FromInt32(0), intstr.FromInt32(1), 3, 2) },
}, {
	Name:    "shares of the replicas are rounded up for the surge and down for what may be unavailable",
	Without: needsSurge,
	run:     func(e *env) { e.rollsWithin(3, intstr.FromString("34%"), intstr.FromString("34%"), 5, 2) },
}, {
	Name:    "a roll-out that fails leaves the old pods serving, says so after its deadline, and goes back or on when told",
	Without: func(h Harness) string { return needsSurge(h) + needsNames(h) },
	run:     func(e *env) { e.failingRollOut() },
}, {
	Name:    "an old pod stays until a new one has been ready for minReadySeconds",
	Without: needsSurge,
	run: func(e *env) {
		web, wait := e.deployment("web"), 2*time.Second
		web.Spec.MinReadySeconds = int32(wait.Seconds())
		set, ref := e.set(web), manifests.RefOf(web)
		d := e.drive(set)
		d.ready()
		old := e.onlyPod(ref)
		setEnv(web, "COLOUR", "green")
		d.change(set)
		unready := time.Now() // when last no new pod was seen ready
		e.eventually(func() error {
			looked := time.Now()
			state, _ := d.look().Find(ref)
			pods := e.readyPods(ref)
			if !slices.ContainsFunc(pods, func(p Pod) bool { return p.IDs[0] != old.IDs[0] }) {
				unready = looked
			}
			early := time.Since(unready) < e.lasting(wait)
			if early && state.Phase == backend.Ready {
				e.Fatalf("called ready %s after no pod was", time.Since(unready))
			}
			if early && !slices.ContainsFunc(pods, func(p Pod) bool { return p.IDs[0] == old.IDs[0] }) {
				e.Fatalf("the old pod is gone %s after no new one was ready", time.Since(unready))
			}
			return d.settled()
		}, func() string { return describe(d.look()) })
		e.Expect(e.ids(ref)).NotTo(ContainElements(old.IDs))
	},
}, {
	Name:    "a workload that is scaled in the middle of a roll-out gets as many new pods as are wanted now",
	Without: needsSurge,
	run: func(e *env) {
		web := e.deployment("web")
		web.Spec.Replicas = new(int32(2))
		rolling(web, intstr.FromInt32(1), intstr.FromInt32(0))
		set, ref := e.set(web), manifests.RefOf(web)
		d := e.drive(set)
		d.ready()
		before := int32(2)
		for _, replicas := range []int32{4, 1} {
			old := e.ids(ref)
			setEnv(web, "REPLICAS", strconv.Itoa(int(replicas)))
			d.change(set)
			d.until(func(o backend.Observation) error {
				if state, _ := o.Find(ref); state.Updated == 0 {
					return fmt.Errorf("no pod is updated yet")
				}
				return nil
			})
			web.Spec.Replicas = &replicas
			d.change(set)
			e.keepsTo(d, ref, int(max(before, replicas))+1, int(min(before, replicas)))
			e.eventually(func() error { // those that go may take their grace, and count for nothing
				if n := len(e.pods(ref)); n != int(replicas) {
					return fmt.Errorf("the second client sees %d pods of %d", n, replicas)
				}
				return nil
			})
			e.Expect(e.ids(ref)).NotTo(ContainElements(old))
			before = replicas
		}
	},
}, {
	Name:    "a Service name leads to pods that serve at every moment of a roll-out",
	Without: func(h Harness) string { return needsSurge(h) + needsNames(h) },
	run: func(e *env) {
		web, client, service := e.deployment("web", "serve", "-drain", "2s"), e.deployment("client"), e.service("web")
		web.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(10))
		web.Spec.Replicas = new(int32(2))
		rolling(web, intstr.FromInt32(1), intstr.FromInt32(0))
		set, ref := e.set(web, client, service), manifests.RefOf(web)
		d := e.drive(set)
		d.ready()
		e.eventually(func() error { return e.leads(client, service.Name, e.pods(ref)) })
		setEnv(web, "COLOUR", "green")
		d.change(set)
		e.eventually(func() error {
			serving := e.servingAddresses(ref)
			addresses := e.resolve(client, service.Name)
			maps.Copy(serving, e.servingAddresses(ref))
			if len(addresses) == 0 {
				e.Fatalf("%s leads nowhere during the roll-out\n%s", service.Name, describe(d.look()))
			}
			for _, address := range addresses {
				if !serving[address] {
					e.Fatalf("%s leads to %s, where nothing serves\n%s", service.Name, address, describe(d.look()))
				}
			}
			return d.settled()
		})
		e.eventually(func() error { return e.leads(client, service.Name, e.pods(ref)) })
	},
}, {
	Name:    "a claim mounted for writing never has two pods, and the refusal of the strategy names it",
	Without: needsRollOut,
	run: func(e *env) {
		web, claim := e.deployment("web"), e.claim("data", "1Gi", "Delete")
		mountClaim(web, claim, "/data")
		e.neverTwo(e.set(claim, web), web, claim.Name)
	},
}, {
	Name:    "a host port never has two pods, and the refusal of the strategy names it",
	Without: needsRollOut,
	run: func(e *env) {
		web, port := e.deployment("web"), int32(20000+serial.Add(1)%10000)
		web.Spec.Template.Spec.Containers[0].Ports[0].HostPort = port
		e.neverTwo(e.set(web), web, strconv.Itoa(int(port)))
	},
}, {
	Name: "a fixed address moves to the new pod, and does not keep it from coming while the old one serves",
	Without: func(h Harness) string {
		return needsSurge(h) + lacks(h.Can.Networks, "this world has no networks with fixed addresses")
	},
	run: func(e *env) {
		web := e.deployment("web")
		annotate(web, manifests.AnnotationIPPrefix+e.network, e.address(77))
		set, ref := e.set(web), manifests.RefOf(web)
		d := e.drive(set)
		d.ready()
		e.eventually(func() error { return e.bears(e.onlyPod(ref), e.address(77)) })
		old := e.ids(ref)
		setEnv(web, "COLOUR", "green")
		d.change(set)
		e.keepsTo(d, ref, 2, 1)
		e.Expect(e.ids(ref)).NotTo(ContainElements(old))
		e.eventually(func() error { return e.bears(e.onlyPod(ref), e.address(77)) })
	},
}}

func needsSurge(h Harness) string {
	return lacks(h.Can.Surge, "surging is not the work of this backend")
}

// rollsWithin changes a workload twice and holds the roll-outs to their limits.
func (e *env) rollsWithin(replicas int32, surge, unavailable intstr.IntOrString, most, fewest int) {
	e.Helper()
	web := e.deployment("web")
	web.Spec.Replicas = &replicas
	rolling(web, surge, unavailable)
	set, ref := e.set(web), manifests.RefOf(web)
	d := e.drive(set)
	d.ready()
	old := e.ids(ref)
	setEnv(web, "COLOUR", "green")
	d.change(set)
	e.keepsTo(d, ref, most, fewest)
	e.Expect(d.ever(func(o backend.Observation) bool {
		state, _ := o.Find(ref)
		return 0 < state.Updated && state.Updated < state.Desired
	})).To(BeTrue(), "the roll-out was never seen half done: the count of updated pods tells nothing")
	e.Expect(e.ids(ref)).NotTo(ContainElements(old))
}

// keepsTo looks until a roll-out is done and holds it to its limits at every look.
func (e *env) keepsTo(d *driver, ref manifests.Ref, most, fewest int) {
	e.Helper()
	e.eventually(func() error {
		pods := e.pods(ref)
		seen := d.look()
		state, _ := seen.Find(ref)
		if live := countLive(pods, state); live > most {
			e.Fatalf("the second client sees %d pods that stay, more than %d\n%s", live, most, describe(seen))
		}
		ready := len(slices.DeleteFunc(slices.Clone(pods), func(p Pod) bool { return !p.Ready || p.Terminating }))
		if ready < fewest {
			e.Fatalf("the second client sees %d ready pods, fewer than %d\n%s", ready, fewest, describe(seen))
		}
		if state.Phase == backend.Ready && state.Updated != state.Desired {
			e.Fatalf("called ready with %d of %d pods updated\n%s", state.Updated, state.Desired, describe(seen))
		}
		return d.settled()
	}, func() string { return describe(d.look()) })
}

// countLive counts the pods that are not on their way out. The second client may not see that of a pod that the backend has
// withdrawn and not stopped yet; such a one is in no observation any more.
func countLive(pods []Pod, state backend.State) int {
	n := 0
	for _, p := range pods {
		if !p.Terminating && slices.ContainsFunc(state.Pods, func(s backend.Pod) bool { return s.Name == p.Name }) {
			n++
		}
	}
	return n
}

// servingAddresses are those of the pods that answer, whether they are on their way out or not.
func (e *env) servingAddresses(ref manifests.Ref) map[string]bool {
	e.Helper()
	serving := map[string]bool{}
	for _, p := range e.pods(ref) {
		for _, address := range p.Addresses {
			if p.Ready || p.Terminating {
				serving[address] = true
			}
		}
	}
	return serving
}

// failingRollOut changes a workload to what is never ready: back to the old, again, and on to what is.
func (e *env) failingRollOut() {
	e.Helper()
	web, client, service := e.deployment("web"), e.deployment("client"), e.service("web")
	web.Spec.Replicas, web.Spec.ProgressDeadlineSeconds = new(int32(2)), new(int32(3))
	rolling(web, intstr.FromInt32(1), intstr.FromInt32(0))
	set, ref := e.set(web, client, service), manifests.RefOf(web)
	d := e.drive(set)
	d.ready()
	old, names := e.ids(ref), e.pods(ref)
	e.eventually(func() error { return e.leads(client, service.Name, names) })
	fail := func() {
		e.Helper()
		web.Spec.Template.Spec.Containers[0].Args = []string{"serve", "-never-ready"}
		changed := time.Now()
		d.change(set)
		d.until(func(o backend.Observation) error {
			state, _ := o.Find(ref)
			e.Expect(e.ids(ref)).To(ContainElements(old), "an old pod was touched\n%s", describe(o))
			e.Expect(e.leads(client, service.Name, names)).To(Succeed())
			if state.Phase != backend.Failed || state.Reason != backend.ReasonDeadline {
				return fmt.Errorf("%s is %s %s", ref, state.Phase, state.Reason)
			}
			e.Expect(state.Updated).To(Equal(int32(1)))
			e.Expect(state.Message).NotTo(BeEmpty())
			return nil
		})
		if early := time.Since(changed); early < e.lasting(3*time.Second) {
			e.Fatalf("given up after %s, before its deadline", early)
		}
	}
	fail()
	web.Spec.Template.Spec.Containers[0].Args = []string{"serve"}
	d.change(set)
	d.ready()
	e.eventually(func() error {
		if have := e.ids(ref); !slices.Equal(have, old) {
			return fmt.Errorf("back to the old template, but not back to the old pods: %v, not %v", have, old)
		}
		return nil
	})
	fail()
	web.Spec.Template.Spec.Containers[0].Args = []string{"serve", "-port", strconv.Itoa(guest.Port)}
	d.change(set)
	e.keepsTo(d, ref, 3, 2)
	e.Expect(e.ids(ref)).NotTo(ContainElements(old))
}

// neverTwo rolls a workload out that can't have two pods, whatever its strategy says, and expects a refusal that names why.
func (e *env) neverTwo(set manifests.Set, web *appsv1.Deployment, why string) {
	e.Helper()
	ref := manifests.RefOf(web)
	rolling(web, intstr.FromInt32(1), intstr.FromInt32(0))
	d := e.drive(set)
	refused := d.ready().Refused
	e.Expect(slices.ContainsFunc(refused, func(r backend.Refusal) bool {
		return r.Ref == ref && r.Path == "spec.strategy" && strings.Contains(r.Reason, why)
	})).To(BeTrue(), "no refusal of the strategy names %s: %v", why, refused)
	before := e.ids(ref)
	setEnv(web, "COLOUR", "green")
	d.change(set)
	e.eventually(func() error {
		if n := len(e.pods(ref)); n > 1 {
			e.Fatalf("the second client sees %d pods at once\n%s", n, describe(d.look()))
		}
		return d.settled()
	})
	e.Expect(e.ids(ref)).NotTo(ContainElements(before))
	web.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	d.change(set)
	e.Expect(slices.ContainsFunc(d.ready().Refused, func(r backend.Refusal) bool {
		return r.Ref == ref && strings.HasPrefix(r.Path, "spec.strategy")
	})).To(BeFalse(), "the strategy Recreate is done as written, and refused")
}
