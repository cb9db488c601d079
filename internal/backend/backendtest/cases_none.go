package backendtest

import (
	"fmt"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// Whoever restores a volume relies on it that nobody who mounted it runs any more when a backend says so.
var noneCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name:    "a workload that wants no pods is Ready without one, of either kind, when the last has gone and no sooner",
	Without: needsRollOut,
	run: func(e *env) {
		web, claim := e.deployment("web", "serve", "-drain", "1s"), e.claim("data", "1Gi", "Delete")
		mountClaim(web, claim, "/data")
		web.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(10))
		web.Spec.Template.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}}
		set, ref := e.set(claim, web), manifests.RefOf(web)
		d := e.drive(set)
		d.ready()
		web.Spec.Replicas = new(int32(0))
		d.change(set)
		passed := false
		d.until(func(o backend.Observation) error {
			state, found := o.Find(ref)
			passed = passed || state.Passing > 0
			if !found || state.Phase != backend.Ready || len(state.Pods) > 0 || state.Passing > 0 {
				return fmt.Errorf("%s has %d pods, and %d that come or go: %s %s", ref, len(state.Pods), state.Passing, state.Phase, state.Message)
			}
			if left := e.pods(ref); len(left) > 0 {
				e.Fatalf("%s is said to have no pods, and has %+v", ref, left)
			}
			return nil
		})
		e.Expect(passed).To(BeTrue(), "no pod was ever on its way out")
		web.Spec.Replicas = new(int32(1))
		d.change(set)
		d.ready()
	},
}}
