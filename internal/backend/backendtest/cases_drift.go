package backendtest

import (
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/manifests"
)

var driftCases = append(harmCases(), Case{ //nolint:gochecknoglobals // a table that nothing writes to
	Name: "an image that was built anew under its name is taken up where the pull policy asks for it, and nowhere else",
	Without: func(h Harness) string {
		return needsRollOut(h) + lacks(h.Can.Rebuild, "images can't be built in this world")
	},
	run: func(e *env) {
		web, old := e.deployment("web"), e.deployment("old")
		web.Spec.Template.Spec.Containers[0].ImagePullPolicy = corev1.PullAlways
		set := e.set(web, old)
		e.ready(set)
		before, kept := e.ids(manifests.RefOf(web)), e.ids(manifests.RefOf(old))
		e.must("building an image", e.world.Rebuild(e.Context(), e.image))
		e.eventually(func() error {
			if err := isSettled(set, e.apply(set)); err != nil {
				return err
			}
			if slices.Contains(e.ids(manifests.RefOf(web)), before[0]) {
				return fmt.Errorf("the pod of the old image is still there")
			}
			return e.confirm(set)
		})
		e.Expect(e.ids(manifests.RefOf(old))).To(Equal(kept), "a pod was replaced that need not be")
	},
})

// harmCases are one for each harm.
func harmCases() []Case {
	var cases []Case
	for _, harm := range []Harm{
		HarmInfra, HarmDisconnect, HarmAddress, HarmPolicies, HarmStop, HarmRemove, HarmRename, HarmUpdate, HarmWipe,
	} {
		cases = append(cases, Case{
			Name: "a pod is mended after " + string(harm),
			Without: func(h Harness) string {
				return lacks(slices.Contains(h.Can.Harms, harm), "this can't be done in this world")
			},
			run: func(e *env) { e.mends(harm) },
		})
	}
	return cases
}

// mends does harm to one of two workloads, and expects the first to be whole again, with its data, name and address, and
// the second untouched.
func (e *env) mends(harm Harm) {
	e.Helper()
	web, other, claim, service := e.deployment("web"), e.deployment("other"), e.claim("data", "1Gi", "Retain"), e.service("web")
	mountClaim(web, claim, "/data")
	if e.h.Can.Networks {
		annotate(web, manifests.AnnotationIPPrefix+e.network, e.address(77))
	}
	web.Spec.Template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: *limit()}
	set, ref := e.set(claim, web, other, service), manifests.RefOf(web)
	e.listen() // what is only seen by its event is seen so
	e.ready(set)
	e.eventually(func() error { return e.whole(web, other, service.Name) })
	e.write(ref, "/data/file", "precious")
	untouched := e.ids(manifests.RefOf(other))
	persists, err := e.world.Harm(e.Context(), e.onlyPod(ref), harm)
	e.must("doing harm", err)
	start := time.Now()
	e.eventually(func() error {
		if err := isSettled(set, e.apply(set)); err != nil {
			return err
		}
		if err := e.confirm(set); err != nil {
			return err
		}
		if err := persists(e.Context()); err != nil {
			return err
		}
		if pods := e.pods(ref); len(pods) != 1 {
			return fmt.Errorf("the second client sees %d pods of %s", len(pods), ref)
		}
		return e.whole(web, other, service.Name)
	})
	e.Logf("%s: mended after %s", harm, time.Since(start).Round(time.Millisecond))
	e.Expect(e.execute(ref, "cat", "/data/file")).To(Equal("precious"))
	if harm != HarmWipe {
		e.Expect(e.ids(manifests.RefOf(other))).To(Equal(untouched), "another workload was touched")
	}
}

// whole complains unless the pod of a workload has its fixed address and its name.
func (e *env) whole(web, other manifests.Object, name string) error {
	e.Helper()
	pod := e.onlyPod(manifests.RefOf(web))
	if e.h.Can.Networks {
		if err := e.bears(pod, e.address(77)); err != nil {
			return err
		}
	}
	if e.h.Can.Names {
		return e.leads(other, name, []Pod{pod})
	}
	return nil
}
