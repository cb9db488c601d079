package backendtest

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

var changeCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name: "an unchanged set changes nothing",
	run: func(e *env) {
		set, refs := e.ordinary()
		e.ready(set)
		before, writes := e.snapshot(refs), e.writes()
		for range 3 {
			e.ready(set)
		}
		e.Expect(e.snapshot(refs)).To(Equal(before))
		e.Expect(e.writes()).To(Equal(writes), "an unchanged set was written")
	},
}, {
	Name: "a restarted backend finds what runs and leaves it alone",
	run: func(e *env) {
		set, refs := e.ordinary()
		e.ready(set)
		before := e.snapshot(refs)
		e.b = e.world.Another(e.T)
		e.ready(set)
		e.Expect(e.snapshot(refs)).To(Equal(before))
	},
}, {
	Name: "a change of one workload leaves the pods of the others alone",
	run: func(e *env) {
		web, api := e.deployment("web"), e.deployment("api")
		set := e.set(web, api, e.service("web"))
		e.ready(set)
		webBefore, apiBefore := e.ids(manifests.RefOf(web)), e.ids(manifests.RefOf(api))
		setEnv(api, "COLOUR", "green")
		e.ready(set)
		e.Expect(e.ids(manifests.RefOf(web))).To(Equal(webBefore))
		e.Expect(e.ids(manifests.RefOf(api))).NotTo(ContainElements(apiBefore))
		e.Expect(e.execute(manifests.RefOf(api), "env", "COLOUR")).To(Equal("green"))
	},
}, {
	Name: "a roll-out has a ready pod at every moment",
	Without: func(h Harness) string {
		return lacks(h.Can.Surge, "surging is not the work of this backend")
	},
	run: func(e *env) {
		web := e.deployment("web")
		set, ref := e.set(web), manifests.RefOf(web)
		e.ready(set)
		before := e.ids(ref)
		setEnv(web, "COLOUR", "green")
		e.settle(set, func(o backend.Observation) error {
			if len(e.readyPods(ref)) == 0 {
				e.Fatalf("the second client sees no ready pod during the roll-out\n%s", describe(o))
			}
			return isSettled(set, o)
		})
		e.Expect(e.ids(ref)).NotTo(ContainElements(before))
	},
}, {
	Name:    "a workload with the strategy Recreate never has two pods",
	Without: needsRollOut,
	run: func(e *env) {
		web := e.deployment("web")
		web.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
		set, ref := e.set(web), manifests.RefOf(web)
		e.ready(set)
		before := e.ids(ref)
		setEnv(web, "COLOUR", "green")
		e.settle(set, func(o backend.Observation) error {
			if n := len(e.pods(ref)); n > 1 {
				e.Fatalf("the second client sees %d pods at once\n%s", n, describe(o))
			}
			return isSettled(set, o)
		})
		e.Expect(e.ids(ref)).NotTo(ContainElements(before))
	},
}, {
	Name:    "scaling adds and removes pods and leaves the rest alone",
	Without: needsRollOut,
	run: func(e *env) {
		web := e.deployment("web")
		set, ref := e.set(web), manifests.RefOf(web)
		e.ready(set)
		one := e.ids(ref)
		web.Spec.Replicas = new(int32(3))
		e.ready(set)
		three := e.ids(ref)
		e.Expect(three).To(ContainElements(one))
		web.Spec.Replicas = new(int32(2))
		e.ready(set)
		e.Expect(three).To(ContainElements(e.ids(ref)))
		e.Expect(e.pods(ref)).To(HaveLen(2))
	},
}, {
	Name: "the content of a ConfigMap reaches the pod, and a change of it rolls the pod",
	run: func(e *env) {
		web, config := e.deployment("web"), e.config("settings", map[string]string{"message": "one"})
		mountConfig(web, config, "/config")
		annotate(web, manifests.AnnotationConfigPrefix+config.Name, "digest-one")
		e.contentRolls(e.set(config, web), web, "/config/message", func(content string) {
			config.Data["message"] = content
			annotate(web, manifests.AnnotationConfigPrefix+config.Name, "digest-"+content)
		})
	},
}, {
	Name: "the content of a Secret reaches the pod, and a change of it rolls the pod",
	run: func(e *env) {
		web, secret := e.deployment("web"), e.secret("password", map[string]string{"key": "one"})
		mountSecret(web, secret, "/secret")
		annotate(web, manifests.AnnotationConfigPrefix+secret.Name, "digest-one")
		e.contentRolls(e.set(secret, web), web, "/secret/key", func(content string) {
			secret.Data["key"] = []byte(content)
			annotate(web, manifests.AnnotationConfigPrefix+secret.Name, "digest-"+content)
		})
	},
}, {
	Name: "Secrets and ConfigMaps that a set only refers to reach the pod",
	run: func(e *env) {
		web := e.deployment("web")
		secret := foreign(e.secret("theirs", map[string]string{"key": "their secret"}))
		config := foreign(e.config("their-settings", map[string]string{"message": "their message"}))
		mountSecret(web, secret, "/secret")
		mountConfig(web, config, "/config")
		set := e.set(web)
		set.Secrets, set.ConfigMaps = []*corev1.Secret{secret}, []*corev1.ConfigMap{config}
		e.must("providing a Secret and a ConfigMap", e.world.Provide(e.Context(), secret, config))
		e.ready(set)
		e.Expect(e.execute(manifests.RefOf(web), "cat", "/secret/key")).To(Equal("their secret"))
		e.Expect(e.execute(manifests.RefOf(web), "cat", "/config/message")).To(Equal("their message"))
	},
}, {
	Name: "data of a claim survives the replacement of its pod",
	run: func(e *env) {
		web, claim := e.deployment("web"), e.claim("data", "1Gi", "Retain")
		web.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
		mountClaim(web, claim, "/data")
		set, ref := e.set(claim, web), manifests.RefOf(web)
		e.ready(set)
		e.write(ref, "/data/file", "precious")
		before := e.ids(ref)
		setEnv(web, "COLOUR", "green")
		e.ready(set)
		e.Expect(e.ids(ref)).NotTo(ContainElements(before))
		e.Expect(e.execute(ref, "cat", "/data/file")).To(Equal("precious"))
	},
}, {
	Name: "a claim is never made anew when its size changes",
	run: func(e *env) {
		web, claim := e.deployment("web"), e.claim("data", "1Gi", "Delete")
		mountClaim(web, claim, "/data")
		set, ref := e.set(claim, web), manifests.RefOf(web)
		e.ready(set)
		e.write(ref, "/data/file", "precious")
		before := e.mustFind(manifests.RefOf(claim))
		for _, size := range []string{"2Gi", "512Mi"} {
			claim.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse(size)
			e.apply(set)
			e.apply(set)
			e.Expect(e.mustFind(manifests.RefOf(claim)).ID).To(Equal(before.ID))
		}
		e.Expect(e.execute(ref, "cat", "/data/file")).To(Equal("precious"))
	},
}}

func needsRollOut(h Harness) string {
	return lacks(h.Can.RollOut, "roll-outs are not the work of this backend")
}

// ordinary is a set with something of most kinds, and its workloads.
func (e *env) ordinary() (manifests.Set, []manifests.Ref) {
	web, api := e.deployment("web"), e.deployment("api")
	claim, config := e.claim("data", "1Gi", "Retain"), e.config("settings", map[string]string{"message": "hello"})
	mountClaim(web, claim, "/data")
	mountConfig(api, config, "/config")
	set := e.set(config, e.secret("password", map[string]string{"key": "value"}), claim, web, api, e.service("web"))
	return set, []manifests.Ref{manifests.RefOf(web), manifests.RefOf(api)}
}

// snapshot of the identities of everything that the second client sees.
func (e *env) snapshot(workloads []manifests.Ref) map[string][]string {
	e.Helper()
	ids := map[string][]string{}
	for _, ref := range workloads {
		ids[ref.String()] = e.ids(ref)
	}
	for _, thing := range e.things() {
		ids[thing.Ref.String()] = []string{thing.ID}
	}
	return ids
}

// contentRolls checks that what set mounts at path reaches the pod of web, before and after change.
func (e *env) contentRolls(set manifests.Set, web *appsv1.Deployment, path string, change func(content string)) {
	e.Helper()
	ref := manifests.RefOf(web)
	e.ready(set)
	e.Expect(e.execute(ref, "cat", path)).To(Equal("one"))
	before := e.ids(ref)
	change("two")
	e.ready(set)
	e.Expect(e.execute(ref, "cat", path)).To(Equal("two"))
	e.Expect(e.ids(ref)).NotTo(ContainElements(before))
}

// execute runs the guest program with args in the only pod of a workload and returns what it prints.
func (e *env) execute(workload manifests.Ref, args ...string) string {
	e.Helper()
	return e.executeWith("", workload, args...)
}

func (e *env) write(workload manifests.Ref, path, content string) {
	e.Helper()
	e.executeWith(content, workload, "write", path)
}

func (e *env) executeWith(stdin string, workload manifests.Ref, args ...string) string {
	e.Helper()
	return e.executeIn(e.onlyPod(workload), stdin, args...)
}

func (e *env) executeIn(pod Pod, stdin string, args ...string) string {
	e.Helper()
	stdout, stderr, code := e.attempt(pod, stdin, args...)
	if code != 0 {
		e.Fatalf("%v ended with %d: %s", args, code, stderr)
	}
	return stdout
}

// attempt is executeIn for what may fail.
func (e *env) attempt(pod Pod, stdin string, args ...string) (output, complaint string, code int) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), e.h.Timeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code, err := e.b.Pods().Exec(ctx, e.ref(pod), backend.ExecRequest{
		Command: append([]string{guest.Path}, args...),
		Stdin:   strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
	})
	e.must(fmt.Sprintf("executing %v", args), err)
	return stdout.String(), stderr.String(), code
}

func (e *env) ref(p Pod) backend.PodRef { return backend.PodRef{Owner: e.owner, Pod: p.Name} }
