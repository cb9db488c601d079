package backendtest

import (
	"fmt"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var reloadCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name:    "configuration that a program can reload reaches it without a new pod",
	Without: needsReload,
	run: func(e *env) {
		set, web, config := e.reloading()
		d, ref := e.drive(set), manifests.RefOf(web)
		d.ready()
		before := e.ids(ref)
		for _, content := range []string{"two", "three"} {
			config.Data = map[string]string{"message": content, "other": "kept"}
			digested(web, config)
			d.change(set)
			e.eventually(func() error { return e.holds(web, "/config/message", content) }, func() string { return describe(d.look()) })
			e.eventually(func() error { return e.holds(web, "/scratch/loaded", content) }, func() string { return describe(d.look()) })
			d.ready()
			e.Expect(e.execute(ref, "cat", "/config/other")).To(Equal("kept"))
		}
		e.Expect(e.ids(ref)).To(Equal(before), "the pod was replaced or its container started again")
	},
}, {
	Name:    "configuration that its program refuses never reaches it, and says so until it is good again",
	Without: needsReload,
	run: func(e *env) {
		set, web, config := e.reloading()
		d, ref := e.drive(set), manifests.RefOf(web)
		d.ready()
		before := e.ids(ref)
		config.Data["message"] = "broken"
		digested(web, config)
		d.change(set)
		d.until(func(o backend.Observation) error {
			state, _ := o.Find(ref)
			e.Expect(e.holds(web, "/config/message", "one")).To(Succeed(), "what the program refuses reached it")
			if state.Reason != backend.ReasonReload || state.Message == "" {
				return fmt.Errorf("%s is %s %s %s", ref, state.Phase, state.Reason, state.Message)
			}
			e.Expect(state.Phase).To(Or(Equal(backend.Failed), Equal(backend.Ready)))
			return nil
		})
		e.lookFor(nameLag, func() {
			e.Expect(e.holds(web, "/config/message", "one")).To(Succeed())
			e.Expect(e.readyPods(ref)).To(HaveLen(1))
		})
		config.Data["message"] = "two"
		digested(web, config)
		d.change(set)
		e.eventually(func() error { return e.holds(web, "/scratch/loaded", "two") }, func() string { return describe(d.look()) })
		state, _ := d.ready().Find(ref)
		e.Expect(state.Reason).NotTo(Equal(backend.ReasonReload))
		e.Expect(e.ids(ref)).To(Equal(before), "the pod was replaced or its container started again")
	},
}, {
	Name:    "a restarted backend reloads nothing anew",
	Without: needsReload,
	run: func(e *env) {
		set, web, config := e.reloading()
		ref := manifests.RefOf(web)
		e.ready(set)
		config.Data["message"] = "two"
		digested(web, config)
		e.settle(set, func(o backend.Observation) error {
			if err := isSettled(set, o); err != nil {
				return err
			}
			return e.holds(web, "/scratch/loaded", "two")
		})
		before := e.ids(ref)
		e.execute(ref, "remove", "/scratch/loaded")
		e.b = e.world.Another(e.T)
		e.lookFor(nameLag, func() {
			e.apply(set)
			_, _, code := e.attempt(e.onlyPod(ref), "", "cat", "/scratch/loaded")
			e.Expect(code).To(Equal(1), "it was reloaded again")
		})
		e.ready(set)
		e.Expect(e.ids(ref)).To(Equal(before))
	},
}, {
	Name:    "keys that a reloadable configuration gains or loses come and go, with a new pod or without",
	Without: needsReload,
	run: func(e *env) {
		set, web, config := e.reloading()
		ref := manifests.RefOf(web)
		e.ready(set)
		for _, data := range []map[string]string{
			{"message": "two", "other": "kept", "third": "new"},
			{"message": "three", "third": "kept"},
		} {
			config.Data = data
			digested(web, config)
			e.settle(set, func(o backend.Observation) error {
				if err := isSettled(set, o); err != nil {
					return err
				}
				if n := len(e.pods(ref)); n != 1 {
					return fmt.Errorf("the second client sees %d pods", n)
				}
				for _, key := range []string{"message", "other", "third"} {
					have, _, code := e.attempt(e.onlyPod(ref), "", "cat", "/config/"+key)
					if want, wanted := data[key]; wanted != (code == 0) || have != want {
						return fmt.Errorf("key %s holds %q, not %q", key, have, want)
					}
				}
				return nil
			})
		}
	},
}, {
	Name:    "a Secret that a program can reload reaches it without a new pod",
	Without: needsReload,
	run: func(e *env) {
		set, web, _ := e.reloading()
		secret := e.secret("password", map[string]string{"key": "one"})
		mountSecret(web, secret, "/secret")
		annotate(web, manifests.ConfigAnnotation(secret.Name), "one")
		set.Objects = append([]manifests.Object{secret}, set.Objects...)
		ref := manifests.RefOf(web)
		e.ready(set)
		before := e.ids(ref)
		secret = secret.DeepCopy()
		secret.Data["key"], secret.ResourceVersion = []byte("two"), "2"
		annotate(web, manifests.ConfigAnnotation(secret.Name), "two")
		set.Objects[0] = secret
		e.settle(set, func(o backend.Observation) error {
			if err := isSettled(set, o); err != nil {
				return err
			}
			return e.holds(web, "/secret/key", "two")
		})
		e.Expect(e.ids(ref)).To(Equal(before))
	},
}}

func needsReload(h Harness) string {
	return lacks(h.Can.Reload, "changed configuration is not reloaded in place in this world")
}

// reloading is a workload that reloads a configuration.
func (e *env) reloading() (set manifests.Set, web *appsv1.Deployment, config *corev1.ConfigMap) {
	web, config = e.deployment("web"), e.config("settings", map[string]string{"message": "one", "other": "kept"})
	reloads(web, config)
	return e.set(config, web), web, config
}

// holds complains unless the only pod of a workload sees that content in a file.
func (e *env) holds(workload manifests.Object, path, content string) error {
	e.Helper()
	out, complaint, code := e.attempt(e.onlyPod(manifests.RefOf(workload)), "", "cat", path)
	if code != 0 || out != content {
		return fmt.Errorf("%s holds %q, not %q: %s", path, out, content, complaint)
	}
	return nil
}
