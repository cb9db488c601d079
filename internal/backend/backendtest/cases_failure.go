package backendtest

import (
	"fmt"
	"strings"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var failureCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name: "a missing image is named as the reason",
	run: func(e *env) {
		web := e.deployment("web")
		web.Spec.Template.Spec.Containers[0].Image = e.h.MissingImage
		e.imageMissing(e.set(web, e.service("web")), manifests.RefOf(web))
	},
}, {
	Name: "a change to a missing image leaves the old pods serving",
	run: func(e *env) {
		web := e.deployment("web")
		set, ref := e.set(web), manifests.RefOf(web)
		e.ready(set)
		before := e.ids(ref)
		web.Spec.Template.Spec.Containers[0].Image = e.h.MissingImage
		e.imageMissing(set, ref)
		e.Expect(e.ids(ref)).To(ContainElements(before))
		e.Expect(e.readyPods(ref)).To(HaveLen(1))
		web.Spec.Template.Spec.Containers[0].Image = e.image
		e.ready(set)
		e.Expect(e.ids(ref)).To(Equal(before), "back to the old template, back to the old pods")
	},
}, {
	Name: "a program that ends is reported with its exit code and never called ready",
	run: func(e *env) {
		web := e.deployment("web", "exit", "3")
		ref := manifests.RefOf(web)
		e.settle(e.set(web), func(o backend.Observation) error {
			state, _ := o.Find(ref)
			if state.Phase == backend.Ready {
				e.Fatalf("called ready, but its program has ended\n%s", describe(o))
			}
			if state.ExitCode == nil || *state.ExitCode != 3 {
				return fmt.Errorf("the exit code 3 is not reported")
			}
			if state.Reason == "" {
				return fmt.Errorf("no reason is given")
			}
			return nil
		})
	},
}, {
	Name: "a Job that fails is reported with its exit code",
	Without: func(h Harness) string {
		return lacks(h.Can.Jobs, "Jobs do not run in this world")
	},
	run: func(e *env) {
		job := e.job("migrate", "exit", "3")
		e.settle(e.set(job), func(o backend.Observation) error {
			state, _ := o.Find(manifests.RefOf(job))
			if state.Phase != backend.Failed || state.ExitCode == nil || *state.ExitCode != 3 {
				return fmt.Errorf("the Job is %s %v", state.Phase, state.ExitCode)
			}
			return nil
		})
	},
}, {
	Name: "a ConfigMap that is referred to and not there is named",
	run: func(e *env) {
		web, config := e.deployment("web"), e.config("nowhere", nil)
		mountConfig(web, config, "/config")
		e.settle(e.set(web), func(o backend.Observation) error {
			state, found := o.Find(manifests.RefOf(web))
			if !found {
				return errNothingSaid
			}
			if state.Phase == backend.Ready {
				e.Fatalf("called ready without its ConfigMap\n%s", describe(o))
			}
			if !strings.Contains(state.Message, config.Name) {
				return fmt.Errorf("the message does not name %s: %q", config.Name, state.Message)
			}
			return nil
		})
	},
}, {
	Name: "what the backend does not do as written is refused with its path",
	Without: func(h Harness) string {
		return lacks(len(h.Refused) > 0, "this backend says that it refuses nothing")
	},
	run: func(e *env) {
		for _, refused := range e.h.Refused {
			plain, changed := e.deployment("plain"), e.deployment("web")
			refused.Change(changed)
			seen := e.apply(e.set(plain, changed))
			reported := func(ref manifests.Ref) bool {
				for _, r := range seen.Refused {
					if r.Ref == ref && r.Path == refused.Path {
						e.Expect(r.Reason).NotTo(BeEmpty())
						return true
					}
				}
				return false
			}
			e.Expect(reported(manifests.RefOf(changed))).To(BeTrue(), "%s is not refused\n%s", refused.Path, describe(seen))
			e.Expect(reported(manifests.RefOf(plain))).To(BeFalse(), "%s is refused where it was not asked for", refused.Path)
		}
	},
}}

// imageMissing waits until ref is reported as waiting for the missing image, by its name.
func (e *env) imageMissing(set manifests.Set, ref manifests.Ref) {
	e.Helper()
	e.settle(set, func(o backend.Observation) error {
		state, found := o.Find(ref)
		if !found {
			return errNothingSaid
		}
		if state.Phase == backend.Ready {
			e.Fatalf("called ready without its image\n%s", describe(o))
		}
		if state.Reason != backend.ReasonImagePull || !strings.Contains(state.Message, e.h.MissingImage) {
			return fmt.Errorf("the missing image is not named: %s %s", state.Reason, state.Message)
		}
		return nil
	})
}
