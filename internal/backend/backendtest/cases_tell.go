package backendtest

import (
	"fmt"
	"strings"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// tellCases are about programs that are told of their configuration by other means than a command.
var tellCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name:    "a program is told of its configuration by a request, and what it says of a bad one is said",
	Without: needsReload,
	run: func(e *env) {
		how := manifests.Reload{HTTPPost: &manifests.HTTPPost{Port: guest.Port, Path: guest.ReloadPath}}
		set, web, config := e.telling(how)
		d, ref := e.drive(set), manifests.RefOf(web)
		d.ready()
		before := e.ids(ref)
		for _, content := range []string{"two", "broken", "three"} {
			config.Data["message"] = content
			digested(web, config)
			d.change(set)
			if content != "broken" {
				e.eventually(func() error { return e.holds(web, "/scratch/loaded", content) }, func() string { return describe(d.look()) })
				d.ready()
				continue
			}
			d.until(func(o backend.Observation) error {
				state, _ := o.Find(ref)
				if state.Reason != backend.ReasonReload || !strings.Contains(state.Message, `/config/message holds "broken"`) {
					return fmt.Errorf("%s is %s %s %s", ref, state.Phase, state.Reason, state.Message)
				}
				return nil
			})
			e.Expect(e.holds(web, "/scratch/loaded", "two")).To(Succeed())
		}
		e.Expect(e.ids(ref)).To(Equal(before), "the pod was replaced or its container started again")
	},
}, {
	Name:    "a program is told of its configuration by a signal",
	Without: needsReload,
	run: func(e *env) {
		set, web, config := e.telling(manifests.Reload{Signal: "SIGHUP"})
		d, ref := e.drive(set), manifests.RefOf(web)
		d.ready()
		before := e.ids(ref)
		config.Data["message"] = "two"
		digested(web, config)
		d.change(set)
		e.eventually(func() error { return e.holds(web, "/scratch/loaded", "two") }, func() string { return describe(d.look()) })
		d.ready()
		e.Expect(e.ids(ref)).To(Equal(before), "the pod was replaced or its container started again")
	},
}, {
	Name:    "a way to reload that can't be read is said, and what runs goes on",
	Without: needsReload,
	run: func(e *env) {
		set, web, _ := e.telling(manifests.Reload{Signal: "SIGHUP"})
		d, ref := e.drive(set), manifests.RefOf(web)
		d.ready()
		before := e.ids(ref)
		annotate(web, manifests.AnnotationReload, `{"signal":"SIGKILL"}`)
		d.change(set)
		d.until(func(o backend.Observation) error {
			state, _ := o.Find(ref)
			if state.Phase != backend.Failed || !strings.Contains(state.Message, manifests.AnnotationReload) || !strings.Contains(state.Message, "SIGKILL") {
				return fmt.Errorf("%s is %s %s %s", ref, state.Phase, state.Reason, state.Message)
			}
			return nil
		})
		e.Expect(e.ids(ref)).To(Equal(before))
		annotate(web, manifests.AnnotationReload, `{"signal":"SIGHUP"}`)
		d.change(set)
		d.ready()
		e.Expect(e.ids(ref)).To(Equal(before))
	},
}}

// telling is a workload whose program is told of its configuration.
func (e *env) telling(how manifests.Reload) (set manifests.Set, web *appsv1.Deployment, config *corev1.ConfigMap) {
	web, config = e.deployment("web"), e.config("settings", map[string]string{"message": "one", "other": "kept"})
	told(web, config, how)
	return e.set(config, web), web, config
}
