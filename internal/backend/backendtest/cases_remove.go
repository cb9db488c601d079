package backendtest

import (
	"fmt"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var removeCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name: "what a new set no longer names is removed, and the rest left alone",
	run: func(e *env) {
		web, api := e.deployment("web"), e.deployment("api")
		claim, config := e.claim("scratch", "1Gi", "Delete"), e.config("settings", map[string]string{"message": "hello"})
		mountClaim(api, claim, "/data")
		mountConfig(api, config, "/config")
		secret := e.secret("password", map[string]string{"key": "value"})
		e.ready(e.set(config, secret, claim, web, api, e.service("web"), e.service("api")))
		before := e.ids(manifests.RefOf(web))
		e.ready(e.set(web, e.service("web")))
		e.eventually(func() error { return e.gone(manifests.RefOf(api)) })
		for _, object := range []manifests.Object{api, claim, config, secret, e.service("api")} {
			if thing, found := e.find(manifests.RefOf(object)); e.shows(manifests.RefOf(object).Kind) && found {
				e.Fatalf("the second client still sees %s", thing.Ref)
			}
		}
		e.Expect(e.ids(manifests.RefOf(web))).To(Equal(before))
	},
}, {
	Name: "a retained claim that a new set no longer names stays and is reported as retained",
	run: func(e *env) {
		claim, web := e.claim("data", "1Gi", "Retain"), e.deployment("web")
		mountClaim(web, claim, "/data")
		e.ready(e.set(claim, web))
		before := e.mustFind(manifests.RefOf(claim))
		seen := e.ready(e.set(e.deployment("web")))
		e.Expect(e.mustFind(manifests.RefOf(claim)).ID).To(Equal(before.ID))
		state, found := seen.Find(manifests.RefOf(claim))
		e.Expect(found).To(BeTrue(), "the claim is not reported")
		e.Expect(state.Reason).To(Equal(backend.ReasonRetained))
	},
}, {
	Name: "an empty set is an error and touches nothing",
	run: func(e *env) {
		set, refs := e.ordinary()
		e.ready(set)
		before, writes := e.snapshot(refs), e.writes()
		_, err := e.try(e.Context(), manifests.Set{Owner: e.owner})
		e.Expect(err).To(HaveOccurred(), "an empty set was accepted")
		e.ready(set)
		e.Expect(e.snapshot(refs)).To(Equal(before))
		e.Expect(e.writes()).To(Equal(writes))
	},
}, {
	Name: "a set without an owner is an error",
	run: func(e *env) {
		set := e.set(e.deployment("web"))
		set.Owner = manifests.Owner{}
		_, err := e.try(e.Context(), set)
		e.Expect(err).To(HaveOccurred())
	},
}, {
	Name: "every live object is reported, those on their way out included",
	run: func(e *env) {
		web, api := e.deployment("web"), e.deployment("api", "serve", "-drain", "300ms")
		e.ready(e.set(web, api, e.claim("scratch", "1Gi", "Delete")))
		set := e.set(web)
		e.eventually(func() error {
			before := e.alive()
			seen := e.apply(set)
			after := e.alive()
			for ref, pods := range before {
				state, found := reported(seen, ref, pods)
				if _, still := after[ref]; still && !found {
					e.Fatalf("the second client sees %s, but it is not reported\n%s", ref, describe(seen))
				}
				if found && ref == manifests.RefOf(api) && state.Phase != backend.Terminating {
					e.Fatalf("%s is in no set any more and reported as %s", ref, state.Phase)
				}
			}
			if len(e.pods(manifests.RefOf(api))) > 0 {
				return fmt.Errorf("%s has pods", api.Name)
			}
			return isSettled(set, seen)
		})
	},
}, {
	Name: "removal takes all but the retained claims, says so, and can be repeated",
	run: func(e *env) {
		set, refs := e.ordinary()
		scratch := e.claim("scratch", "1Gi", "Delete")
		set.Objects = append(set.Objects, scratch)
		e.ready(set)
		kept := manifests.Ref{Kind: "PersistentVolumeClaim", Name: e.owner.Name + "-data"}
		before := e.mustFind(kept)
		removal := manifests.Removal(e.owner)
		for range 2 {
			seen := e.settle(removal, func(o backend.Observation) error { return onlyRetained(o) })
			e.Expect(seen.Objects).To(HaveLen(1))
			e.Expect(seen.Objects[0].Ref).To(Equal(kept))
		}
		for _, ref := range refs {
			e.Expect(e.gone(ref)).To(Succeed())
		}
		things := e.things()
		e.Expect(things).To(HaveLen(1), "the second client sees more than the retained claim")
		e.Expect(things[0].ID).To(Equal(before.ID))
		writes := e.writes()
		e.apply(removal)
		e.Expect(e.writes()).To(Equal(writes), "there was nothing left to remove")
	},
}, {
	Name: "a retained claim is taken up again, with its data, by its owner's next set",
	run: func(e *env) {
		claim, web := e.claim("data", "1Gi", "Retain"), e.deployment("web")
		mountClaim(web, claim, "/data")
		set, ref := e.set(claim, web), manifests.RefOf(web)
		e.ready(set)
		e.write(ref, "/data/file", "precious")
		before := e.mustFind(manifests.RefOf(claim))
		e.settle(manifests.Removal(e.owner), onlyRetained)
		e.ready(set)
		e.Expect(e.mustFind(manifests.RefOf(claim)).ID).To(Equal(before.ID))
		e.Expect(e.execute(ref, "cat", "/data/file")).To(Equal("precious"))
	},
}, {
	Name: "a claim that is to be retained only since its owner's last words is retained",
	run: func(e *env) {
		claim := e.claim("data", "1Gi", "Delete")
		e.ready(e.set(claim, e.deployment("web")))
		before := e.mustFind(manifests.RefOf(claim))
		claim.Labels[manifests.LabelReclaim] = "Retain"
		last := manifests.Removal(e.owner)
		last.Objects = []manifests.Object{claim}
		e.settle(last, onlyRetained)
		e.settle(manifests.Removal(e.owner), onlyRetained)
		e.Expect(e.mustFind(manifests.RefOf(claim)).ID).To(Equal(before.ID))
	},
}, {
	Name: "removing what was never there is no error",
	run: func(e *env) {
		e.Expect(e.apply(manifests.Removal(e.owner)).Objects).To(BeEmpty())
	},
}}

// onlyRetained complains about anything in an observation that is not a retained claim.
func onlyRetained(o backend.Observation) error {
	for _, state := range o.Objects {
		if notRetained(state) {
			return fmt.Errorf("%s is still there: %s", state.Ref, state.Phase)
		}
	}
	return nil
}

// alive is all that the second client sees of the owner: things, and workloads with the names of their pods.
func (e *env) alive() map[manifests.Ref][]string {
	e.Helper()
	pods, err := e.world.Pods(e.Context(), e.owner)
	e.must("listing pods with the second client", err)
	refs := map[manifests.Ref][]string{}
	for _, p := range pods {
		refs[p.Workload] = append(refs[p.Workload], p.Name)
	}
	for _, thing := range e.things() {
		refs[thing.Ref] = append(refs[thing.Ref], "")
	}
	return refs
}

// reported finds the state of ref, or of one of its pods: a backend without workloads of its own knows no more of those
// that no set names.
func reported(o backend.Observation, ref manifests.Ref, pods []string) (backend.State, bool) {
	if state, found := o.Find(ref); found {
		return state, true
	}
	for _, pod := range pods {
		if state, found := o.Find(manifests.Ref{Kind: "Pod", Name: pod}); found {
			return state, true
		}
	}
	return backend.State{}, false
}
