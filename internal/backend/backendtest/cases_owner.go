package backendtest

import (
	"fmt"
	"slices"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var ownerCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name:    "what another owner holds by the same name is never touched, and the taker is told",
	Without: needsTaken,
	run: func(e *env) {
		other := e.sibling(e.h.Namespaces[0])
		e.takenBy(other.owner)
	},
}, {
	Name:    "what nobody known holds by the same name is never touched, and the taker is told",
	Without: needsTaken,
	run: func(e *env) {
		e.takenBy(manifests.Owner{Namespace: e.owner.Namespace})
	},
}, {
	Name: "a Service name that another owner holds is refused to the second",
	run: func(e *env) {
		other := e.sibling(e.h.Namespaces[0])
		first, second := e.service("web"), other.service("web")
		second.Name = first.Name
		set := e.set(e.deployment("web"), first)
		e.ready(set)
		other.settle(other.set(other.deployment("web"), second), func(o backend.Observation) error {
			return isTaken(o, manifests.RefOf(second))
		})
		e.ready(set)
	},
}, {
	Name: "two owners live side by side, and the removal of one leaves the other alone",
	run:  func(e *env) { e.sideBySide(e.sibling(e.h.Namespaces[0])) },
}, {
	Name: "two owners of the same name in two namespaces live side by side",
	run: func(e *env) {
		other := e.sibling(e.h.Namespaces[1])
		other.owner.Name = e.owner.Name
		other.leaveNothing()
		e.sideBySide(other)
	},
}}

func needsTaken(h Harness) string {
	return lacks(len(h.Can.Taken) > 0, "nothing foreign can be put in the way in this world")
}

// takenBy plants an object of holder for each kind that can be taken, and expects it untouched.
func (e *env) takenBy(holder manifests.Owner) {
	e.Helper()
	objects := []manifests.Object{
		e.config("settings", map[string]string{"message": "ours"}), e.secret("password", map[string]string{"key": "ours"}),
		e.claim("data", "1Gi", "Delete"), e.deployment("web"), e.service("web"),
	}
	set := e.set(objects...)
	free := e.deployment("free")
	var refs []manifests.Ref
	before := map[manifests.Ref]Thing{}
	for _, object := range set.Objects {
		ref := manifests.RefOf(object)
		if slices.Contains(e.h.Can.Taken, ref.Kind) {
			refs = append(refs, ref)
			e.must("planting "+ref.String(), e.world.Plant(e.Context(), ref, holder))
			before[ref], _ = e.find(ref)
		}
	}
	if !slices.Contains(e.h.Can.Taken, "NetworkPolicy") {
		// Where the network itself is free, one workload has all that it needs.
		set.Objects = append(set.Objects, free)
	}
	e.settle(set, func(o backend.Observation) error {
		for _, ref := range refs {
			if err := isTaken(o, ref); err != nil {
				return err
			}
		}
		return nil
	})
	untouched := func() {
		for ref, thing := range before {
			now, _ := e.find(ref)
			e.Expect(now).To(Equal(thing), "%s was touched", ref)
		}
	}
	untouched()
	e.settle(manifests.Removal(e.owner), onlyRetained)
	untouched()
}

// isTaken complains unless ref is reported as held by somebody else.
func isTaken(o backend.Observation, ref manifests.Ref) error {
	state, found := o.Find(ref)
	if !found || state.Phase != backend.Failed || state.Reason != backend.ReasonNameTaken {
		return fmt.Errorf("%s is not reported as taken: %s %s", ref, state.Phase, state.Reason)
	}
	return nil
}

// sideBySide runs the same objects for two owners and removes one of them.
func (e *env) sideBySide(other *env) {
	e.Helper()
	set, refs := e.ordinary()
	theirs, theirRefs := other.ordinary()
	e.ready(set)
	before := e.snapshot(refs)
	other.ready(theirs)
	e.ready(set)
	e.Expect(e.snapshot(refs)).To(Equal(before), "the second owner's set touched the first's")
	e.settle(manifests.Removal(e.owner), onlyRetained)
	for _, ref := range theirRefs {
		e.Expect(other.readyPods(ref)).To(HaveLen(1), "the removal of one owner took pods of the other")
	}
	after := other.snapshot(theirRefs)
	other.ready(theirs)
	e.Expect(other.snapshot(theirRefs)).To(Equal(after))
}
