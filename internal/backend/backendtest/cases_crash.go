package backendtest

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var crashCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name: "a program that ends again and again is held back, says so, and runs at once when it is mended",
	Without: func(h Harness) string {
		return lacks(h.Can.BackOff, "holding back what crashes is not the work of this backend")
	},
	run: func(e *env) {
		claim, reader := e.log()
		web := e.deployment("web", "append", "/log/starts", "start", "then", "exit", "3")
		mountClaim(web, claim, "/log")
		set, ref := e.set(claim, reader, web), manifests.RefOf(web)
		// The first restart comes at once, the second 10 s after the end that follows it, of which Podman tells the whole second.
		begin := time.Now()
		held := func() bool { return time.Since(begin) < 9*time.Second }
		d := e.drive(set)
		d.until(func(o backend.Observation) error {
			state, _ := o.Find(ref)
			if state.Phase == backend.Ready {
				e.Fatalf("called ready, but its program has ended\n%s", describe(o))
			}
			if state.Reason != backend.ReasonCrashLoop {
				return fmt.Errorf("%s is %s %s", ref, state.Phase, state.Reason)
			}
			if state.ExitCode == nil || *state.ExitCode != 3 || state.Restarts == 0 {
				return fmt.Errorf("the exit code or the restarts are not reported: %v, %d", state.ExitCode, state.Restarts)
			}
			return nil
		})
		e.lookFor(6*time.Second, func() {
			if starts := e.lines(reader, "/log/starts"); len(starts) < 2 || len(starts) > 2 && held() {
				e.Fatalf("the program was started %d times within %s\n%s", len(starts), time.Since(begin), describe(d.look()))
			}
		})
		state, _ := d.look().Find(ref)
		e.Expect(state.Reason).To(Equal(backend.ReasonCrashLoop))
		web.Spec.Template.Spec.Containers[0].Args = []string{"serve"}
		d.change(set)
		d.ready()
	},
}, {
	Name: "a program that needed more memory than its limit is said to have",
	Without: func(h Harness) string {
		return lacks(h.Can.Memory, "limits of memory are not enforced in this world")
	},
	run: func(e *env) {
		web := e.deployment("web", "eat", "256")
		web.Spec.Template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{
			corev1.ResourceMemory: resource.MustParse("64Mi"),
		}
		d := e.drive(e.set(web))
		d.until(func(o backend.Observation) error {
			state, _ := o.Find(manifests.RefOf(web))
			if !strings.Contains(state.Reason+" "+state.Message, backend.ReasonOOMKilled) {
				return fmt.Errorf("%s is %s %s: %s", state.Ref, state.Phase, state.Reason, state.Message)
			}
			return nil
		})
	},
}}

// lines of a file that the only pod of a workload sees; none when it is not there yet.
func (e *env) lines(reader manifests.Object, path string) []string {
	e.Helper()
	out, _, code := e.attempt(e.onlyPod(manifests.RefOf(reader)), "", "cat", path)
	if code != 0 {
		return nil
	}
	return strings.Fields(out)
}
