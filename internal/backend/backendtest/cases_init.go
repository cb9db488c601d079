package backendtest

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

var initCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name:    "init containers run one after the other before the main one",
	Without: needsInit,
	run: func(e *env) {
		web := e.deployment("web", "append", "/scratch/order", "main", "then", "serve")
		mountScratch(web, "/scratch")
		e.addInit(web, "first", "sleep", e.lasting(300*time.Millisecond).String(), "then", "append", "/scratch/order", "first")
		e.addInit(web, "second", "append", "/scratch/order", "second")
		e.ready(e.set(web))
		e.Expect(e.execute(manifests.RefOf(web), "cat", "/scratch/order")).To(Equal("first\nsecond\nmain\n"))
	},
}, {
	Name:    "an init container that fails is named, and the main one waits for it",
	Without: needsInit,
	run: func(e *env) {
		claim, reader := e.log()
		web := e.deployment("web", "append", "/log/starts", "main", "then", "serve")
		mountClaim(web, claim, "/log")
		e.addInit(web, "prepare", "append", "/log/starts", "prepare", "then", "exit", "5")
		set := e.set(claim, reader, web)
		e.settle(set, func(o backend.Observation) error {
			state, _ := o.Find(manifests.RefOf(web))
			if state.Phase == backend.Ready {
				e.Fatalf("called ready without its init container\n%s", describe(o))
			}
			if !strings.Contains(state.Message, "prepare") || state.Reason == "" {
				return fmt.Errorf("the init container is not named: %s %q", state.Reason, state.Message)
			}
			return nil
		})
		e.eventually(func() error {
			e.apply(set)
			starts := e.lines(reader, "/log/starts")
			if len(starts) < 2 {
				return fmt.Errorf("the init container was not tried again: %v", starts)
			}
			e.Expect(starts).NotTo(ContainElement("main"))
			return nil
		})
		web.Spec.Template.Spec.InitContainers[0].Args = []string{"exit", "0"}
		e.ready(set)
	},
}, {
	Name:    "an init container that fails once is tried again",
	Without: needsInit,
	run: func(e *env) {
		web, claim := e.deployment("web"), e.claim("data", "1Gi", "Delete")
		mountClaim(web, claim, "/data")
		e.addInit(web, "prepare", "fail-first", "/data/tried")
		e.ready(e.set(claim, web))
	},
}, {
	Name:    "a sidecar runs beside the main container and keeps nobody waiting",
	Without: needsInit,
	run: func(e *env) {
		web := e.deployment("web")
		sidecar := e.addInit(web, "sidecar", "serve", "-port", "8081")
		sidecar.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		e.ready(e.set(web))
		code, err := e.b.Pods().Exec(e.Context(), e.ref(e.onlyPod(manifests.RefOf(web))), backend.ExecRequest{
			Container: "sidecar", Command: []string{guest.Path, "exit", "7"},
		})
		e.must("executing in the sidecar", err)
		e.Expect(code).To(Equal(7))
	},
}}

func needsInit(h Harness) string {
	return lacks(h.Can.Init, "init containers are not the work of this backend")
}
