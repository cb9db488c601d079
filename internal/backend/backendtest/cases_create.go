package backendtest

import (
	"fmt"
	"time"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var createCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name: "what a set names is created, and called ready only once the second client sees it ready",
	run: func(e *env) {
		web := e.deployment("web")
		claim := e.claim("data", "1Gi", "Delete")
		mountClaim(web, claim, "/data")
		config := e.config("settings", map[string]string{"message": "hello"})
		mountConfig(web, config, "/config")
		set := e.set(config, claim, web, e.service("web"))
		e.settle(set, func(o backend.Observation) error {
			state, _ := o.Find(manifests.RefOf(web))
			if seen := len(e.readyPods(manifests.RefOf(web))); state.Phase == backend.Ready && seen == 0 {
				e.Fatalf("called ready, but the second client sees no ready pod\n%s", describe(o))
			}
			return isSettled(set, o)
		})
		e.Expect(e.confirm(set)).To(Succeed())
	},
}, {
	Name: "a workload that never answers its readiness probe is never called ready",
	run: func(e *env) {
		web := e.deployment("web", "serve", "-never-ready")
		set, ref := e.set(web), manifests.RefOf(web)
		notReady := func(o backend.Observation) error {
			state, found := o.Find(ref)
			if !found {
				return errNothingSaid
			}
			if state.Phase == backend.Ready || state.Ready > 0 {
				e.Fatalf("called ready, but its probe fails\n%s", describe(o))
			}
			if len(e.pods(ref)) == 0 {
				return fmt.Errorf("the second client sees no pod of %s", ref)
			}
			return nil
		}
		e.settle(set, notReady)
		for end := time.Now().Add(10 * e.h.Poll); time.Now().Before(end); time.Sleep(e.h.Poll) {
			e.Expect(notReady(e.apply(set))).To(Succeed())
		}
	},
}, {
	Name: "what is made bears the label of its owner, even where the manifest forgot it",
	run: func(e *env) {
		config := e.config("settings", map[string]string{"message": "hello"})
		delete(config.Labels, manifests.LabelOwner)
		claim := e.claim("data", "1Gi", "Retain")
		web := e.deployment("web")
		delete(web.Labels, manifests.LabelOwner)
		delete(web.Spec.Template.Labels, manifests.LabelOwner)
		set := e.set(config, claim, e.secret("password", map[string]string{"key": "value"}), web, e.service("web"))
		e.ready(set)
		for _, thing := range e.things() {
			e.Expect(thing.Labels).To(HaveKeyWithValue(manifests.LabelOwner, e.owner.String()), "%s", thing.Ref)
			if thing.Ref == manifests.RefOf(claim) {
				e.Expect(thing.Labels).To(HaveKeyWithValue(manifests.LabelReclaim, "Retain"))
			}
		}
		for _, object := range set.Objects {
			if ref := manifests.RefOf(object); e.shows(ref.Kind) {
				e.mustFind(ref)
			}
		}
		pod := e.onlyPod(manifests.RefOf(web))
		e.Expect(pod.Labels).To(HaveKeyWithValue(manifests.LabelOwner, e.owner.String()))
		e.Expect(pod.Labels).To(HaveKeyWithValue(manifests.LabelWorkload, web.Name))
	},
}, {
	Name: "a pod is reported by the name, readiness and addresses that the second client sees",
	run: func(e *env) {
		web := e.deployment("web")
		seen := e.ready(e.set(web))
		state, _ := seen.Find(manifests.RefOf(web))
		pod := e.onlyPod(manifests.RefOf(web))
		e.Expect(state.Desired).To(Equal(int32(1)))
		e.Expect(state.Image).To(Equal(e.image))
		e.Expect(state.Pods).To(HaveLen(1))
		e.Expect(state.Pods[0].Name).To(Equal(pod.Name))
		e.Expect(state.Pods[0].Ready).To(BeTrue())
		e.Expect(pod.Addresses).NotTo(BeEmpty())
		e.Expect(state.Pods[0].Addresses).To(Equal(pod.Addresses))
	},
}, {
	Name: "changes alone, without looking in between, lead from the first Apply to ready",
	run: func(e *env) {
		heard := e.listen()
		set := e.set(e.deployment("web"), e.deployment("api"), e.service("web"))
		seen := e.apply(set)
		limit := time.After(e.h.Timeout)
		for isSettled(set, seen) != nil {
			select {
			case <-heard.wake:
				if heard.heard(e.owner) == nil {
					heard.forget()
					seen = e.apply(set)
				}
			case <-limit:
				e.Fatalf("no change was reported that would have led on: %v\n%s", isSettled(set, seen), describe(seen))
			}
		}
	},
}, {
	Name: "a Job runs once and is called succeeded",
	Without: func(h Harness) string {
		return lacks(h.Can.Jobs, "Jobs do not run in this world")
	},
	run: func(e *env) {
		job := e.job("migrate", "exit", "0")
		set := e.set(job)
		e.settle(set, func(o backend.Observation) error {
			if state, _ := o.Find(manifests.RefOf(job)); state.Phase != backend.Succeeded {
				return fmt.Errorf("the Job is %s", state.Phase)
			}
			return nil
		})
		before, writes := e.ids(manifests.RefOf(job)), e.writes()
		e.apply(set)
		e.Expect(e.ids(manifests.RefOf(job))).To(Equal(before))
		e.Expect(e.writes()).To(Equal(writes), "a Job that is done was touched again")
	},
}, {
	Name: "a pod has the fixed address that it asks for",
	Without: func(h Harness) string {
		return lacks(h.Can.Networks, "this world has no networks with fixed addresses")
	},
	run: func(e *env) {
		web := e.deployment("web")
		annotate(web, manifests.AnnotationIPPrefix+e.network, e.address(77))
		e.ready(e.set(web))
		e.eventually(func() error {
			return e.bears(e.onlyPod(manifests.RefOf(web)), e.address(77))
		})
	},
}}

// bears complains unless a pod has an address on the owner's network.
func (e *env) bears(p Pod, address string) error {
	if p.Addresses[e.network] != address && p.Fixed[e.network] != address {
		return fmt.Errorf("the second client sees the addresses %v and %v of pod %s, not %s", p.Addresses, p.Fixed, p.Name, address)
	}
	return nil
}

// lacks is why when a world can't do what a case needs.
func lacks(can bool, why string) string {
	if can {
		return ""
	}
	return why
}
