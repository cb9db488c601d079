package backendtest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// nameLag is how long a name may go on leading to a pod that is known to be gone or unready.
const nameLag = time.Second

var nameCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name:    "a Service name resolves in each of its forms to the ready pods of its workload",
	Without: needsNames,
	run: func(e *env) {
		web, client, service := e.deployment("web"), e.deployment("client"), e.service("web")
		web.Spec.Replicas = new(int32(2))
		d := e.drive(e.set(web, client, service))
		d.ready()
		for _, form := range []string{"", "." + e.owner.Namespace, "." + e.owner.Namespace + ".svc", "." + e.owner.Namespace + ".svc.cluster.local"} {
			e.eventually(func() error { return e.leads(client, service.Name+form, e.pods(manifests.RefOf(web))) })
		}
		const domain = ".svc.cluster.local" // what is not of it may be somebody's outside
		e.Expect(e.resolve(client, service.Name+".elsewhere"+domain)).To(BeEmpty(), "the name resolves in a namespace where it is not")
		e.Expect(e.resolve(client, "nobody."+e.owner.Namespace+domain)).To(BeEmpty(), "a name that nobody has resolves")
	},
}, {
	Name:    "a pod that was never ready bears no Service name",
	Without: needsNames,
	run: func(e *env) {
		web, lame, client := e.deployment("web"), e.deployment("lame", "serve", "-never-ready"), e.deployment("client")
		good, bad := e.service("web"), e.service("lame")
		d := e.drive(e.set(web, lame, client, good, bad))
		d.until(func(o backend.Observation) error {
			for _, ref := range []manifests.Ref{manifests.RefOf(web), manifests.RefOf(client)} {
				if state, _ := o.Find(ref); state.Phase != backend.Ready {
					return fmt.Errorf("%s is %s", ref, state.Phase)
				}
			}
			if state, _ := o.Find(manifests.RefOf(lame)); len(state.Pods) == 0 {
				return fmt.Errorf("no pod of %s yet", lame.Name)
			}
			return nil
		})
		e.eventually(func() error { return e.leads(client, good.Name, e.pods(manifests.RefOf(web))) })
		e.lookFor(time.Second, func() {
			e.Expect(e.resolve(client, bad.Name)).To(BeEmpty(), "a pod that was never ready bears a Service name")
		})
	},
}, {
	Name:    "a pod that turns unready is out of its Service's name within a second, and comes back",
	Without: needsNames,
	run: func(e *env) {
		web, client, service := e.fickle("web"), e.deployment("client"), e.service("web")
		web.Spec.Replicas = new(int32(3))
		d, ref := e.drive(e.set(web, client, service)), manifests.RefOf(web)
		d.ready()
		e.eventually(func() error { return e.leads(client, service.Name, e.pods(ref)) })
		pods := e.pods(ref)
		lame, others := pods[0], pods[1:]
		e.executeIn(lame, "", "write", unreadyFile)
		var seen time.Time
		d.until(func(o backend.Observation) error {
			state, _ := o.Find(ref)
			for _, p := range state.Pods {
				if p.Name == lame.Name && !p.Ready {
					return nil
				}
			}
			return fmt.Errorf("pod %s is still called ready", lame.Name)
		})
		seen = time.Now()
		e.outOfName(client, service.Name, lame, seen)
		e.eventually(func() error { return e.leads(client, service.Name, others) })
		e.executeIn(lame, "", "remove", unreadyFile)
		e.eventually(func() error { return e.leads(client, service.Name, pods) })
		e.Expect(e.ids(ref)).To(ConsistOf(slices.Concat(lame.IDs, others[0].IDs, others[1].IDs)), "readiness is no reason to touch a pod")
	},
}, {
	Name:    "a pod that was removed is out of its Service's name within a second",
	Without: needsNames,
	run: func(e *env) {
		web, client, service := e.deployment("web"), e.deployment("client"), e.service("web")
		web.Spec.Replicas = new(int32(2))
		d, ref := e.drive(e.set(web, client, service)), manifests.RefOf(web)
		d.ready()
		pods := e.pods(ref)
		e.eventually(func() error { return e.leads(client, service.Name, pods) })
		e.must("removing a pod", e.world.RemovePod(e.Context(), pods[0]))
		e.outOfName(client, service.Name, pods[0], time.Now())
		d.ready()
		e.eventually(func() error { return e.leads(client, service.Name, e.pods(ref)) })
	},
}, {
	Name:    "a pod on its way out bears no Service name while it drains",
	Without: needsNames,
	run: func(e *env) {
		web, client, service := e.deployment("web", "serve", "-drain", "3s"), e.deployment("client"), e.service("web")
		web.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(10))
		set := e.set(client, service, web)
		d := e.drive(set)
		d.ready()
		pod := e.onlyPod(manifests.RefOf(web))
		e.eventually(func() error { return e.leads(client, service.Name, []Pod{pod}) })
		d.change(e.set(client, service))
		d.look()
		e.outOfName(client, service.Name, pod, time.Now())
		d.ready()
	},
}}

func needsNames(h Harness) string {
	return lacks(h.Can.Names, "names can't be looked up in this world")
}

// resolve a name in a pod of a workload at rest.
func (e *env) resolve(from manifests.Object, name string) []string {
	e.Helper()
	addresses, err := e.world.Resolve(e.Context(), e.onlyPod(manifests.RefOf(from)), name)
	e.must("resolving "+name, err)
	return addresses
}

// leads complains unless a name leads to the pods and to no other.
func (e *env) leads(from manifests.Object, name string, to []Pod) error {
	e.Helper()
	var want []string
	for _, p := range to {
		want = slices.AppendSeq(want, maps.Values(p.Addresses))
	}
	slices.Sort(want)
	have := e.resolve(from, name)
	slices.Sort(have)
	if !slices.Equal(have, want) {
		return fmt.Errorf("%s resolves to %v, not to %v", name, have, want)
	}
	return nil
}

// outOfName waits until a name does not lead to a pod any more, and allows nameLag for that. A pod in its place may have
// got its address.
func (e *env) outOfName(from manifests.Object, name string, gone Pod, since time.Time) {
	e.Helper()
	e.eventually(func() error {
		start := time.Now()
		addresses := e.resolve(from, name)
		for _, address := range addresses {
			if !slices.Contains(slices.Collect(maps.Values(gone.Addresses)), address) || e.inherited(gone, address) {
				continue
			}
			if late := start.Sub(since); late > nameLag {
				e.Fatalf("%s still leads to %s of pod %s after %s", name, address, gone.Name, late.Round(time.Millisecond))
			}
			return fmt.Errorf("%s still leads to pod %s", name, gone.Name)
		}
		return nil
	})
}

// inherited tells whether another pod than the one that is gone bears an address now.
func (e *env) inherited(gone Pod, address string) bool {
	e.Helper()
	return slices.ContainsFunc(e.pods(gone.Workload), func(p Pod) bool {
		return p.IDs[0] != gone.IDs[0] && slices.Contains(slices.Collect(maps.Values(p.Addresses)), address)
	})
}

// lookFor repeats look for so many seconds of the manifests.
func (e *env) lookFor(d time.Duration, look func()) {
	e.Helper()
	for end := time.Now().Add(e.lasting(d)); time.Now().Before(end); time.Sleep(e.h.Poll) {
		look()
	}
}

// lasting is how long d lasts in this world, when it is a time that manifests speak of.
func (e *env) lasting(d time.Duration) time.Duration {
	return time.Duration(d.Seconds() * float64(e.h.Second))
}
