package backendtest

import (
	"context"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var changesCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name: "a killed program is reported as a change and runs again",
	run: func(e *env) {
		web := e.deployment("web")
		e.disturbed(e.set(web), manifests.RefOf(web), e.world.Kill)
	},
}, {
	Name: "a pod that was removed is reported as a change and replaced",
	run: func(e *env) {
		web := e.deployment("web")
		e.disturbed(e.set(web), manifests.RefOf(web), e.world.RemovePod)
	},
}, {
	Name: "what was edited from outside is reported as a change and mended",
	Without: func(h Harness) string {
		return lacks(len(h.Can.Edits) > 0, "nothing can be edited from outside in this world")
	},
	run: func(e *env) {
		config := e.config("settings", map[string]string{"message": "hello"})
		objects := []manifests.Object{e.policy(), config, e.deployment("web"), e.service("web")}
		set := manifests.Set{Owner: e.owner, Objects: objects}
		heard := e.listen()
		for _, kind := range e.h.Can.Edits {
			for _, object := range objects {
				if ref := manifests.RefOf(object); ref.Kind == kind {
					e.ready(set)
					e.quiet(heard)
					writes := e.writes()
					e.must("editing "+ref.String(), e.world.Edit(e.Context(), e.owner, ref))
					e.eventually(func() error { return heard.heard(e.owner) })
					e.ready(set)
					e.Expect(e.writes()).To(BeNumerically(">", writes), "the edit of %s was not mended", ref)
				}
			}
		}
		if e.shows("ConfigMap") {
			if data := e.mustFind(manifests.RefOf(config)).Data; data != nil {
				e.Expect(data).To(Equal(config.Data))
			}
		}
	},
}, {
	Name: "whoever begins to listen is told of every owner there is",
	run: func(e *env) {
		other := e.sibling(e.h.Namespaces[1])
		e.ready(e.set(e.deployment("web")))
		other.ready(other.set(other.deployment("web")))
		e.b = e.world.Another(e.T)
		heard := e.listen()
		e.eventually(func() error { return heard.heard(e.owner) })
		e.eventually(func() error { return heard.heard(other.owner) })
	},
}, {
	Name: "after a broken connection every owner is reported, and later changes too",
	Without: func(h Harness) string {
		return lacks(h.Can.Break, "the connection can't be broken in this world")
	},
	run: func(e *env) {
		other := e.sibling(e.h.Namespaces[1])
		web := e.deployment("web")
		set := e.set(web)
		heard := e.listen()
		e.ready(set)
		other.ready(other.set(other.deployment("web")))
		e.quiet(heard)
		e.must("breaking the connection", e.world.Break(e.Context()))
		e.eventually(func() error { return heard.heard(e.owner) })
		e.eventually(func() error { return heard.heard(other.owner) })
		e.quiet(heard)
		e.must("removing a pod", e.world.RemovePod(e.Context(), e.onlyPod(manifests.RefOf(web))))
		e.eventually(func() error { return heard.heard(e.owner) })
	},
}, {
	Name: "the channel of changes is closed when its context ends",
	run: func(e *env) {
		heard := e.listen()
		heard.cancel()
		select {
		case <-heard.closed:
		case <-time.After(e.h.Timeout):
			e.Fatalf("the channel is still open %s after the end of its context", e.h.Timeout)
		}
	},
}}

// disturbed does harm to the pod of a workload at rest and expects the harm to be reported and mended.
func (e *env) disturbed(set manifests.Set, ref manifests.Ref, harm func(context.Context, Pod) error) {
	e.Helper()
	heard := e.listen()
	before := e.ready(set)
	old, _ := before.Find(ref)
	e.quiet(heard)
	pod := e.onlyPod(ref)
	e.must("doing harm to "+pod.Name, harm(e.Context(), pod))
	e.eventually(func() error { return heard.heard(e.owner) })
	e.settle(set, func(o backend.Observation) error {
		state, _ := o.Find(ref)
		if len(state.Pods) == 1 && state.Pods[0].Name == pod.Name && state.Restarts <= old.Restarts {
			if same := e.ids(ref); len(same) == len(pod.IDs) && slices.Equal(same, slices.Sorted(slices.Values(pod.IDs))) {
				return fmt.Errorf("neither a restart nor a new pod is to be seen")
			}
		}
		return isSettled(set, o)
	})
	e.eventually(func() error { return e.confirm(set) })
	e.Expect(e.pods(ref)).To(HaveLen(1))
}
