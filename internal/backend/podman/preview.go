package podman

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var _ backend.Previewer = (*Backend)(nil)

// recreation is how long a pod that is replaced in one go is expected not to serve: Podman takes about a second to end one
// pod and start another, and for up to a second more a client may hold the address of the old one.
const recreation = 2 * time.Second

// Preview implements backend.Previewer.
func (b *Backend) Preview(ctx context.Context, set manifests.Set) (backend.Forecast, error) {
	want, err := b.wanted(ctx, set)
	if err != nil {
		return backend.Forecast{}, err
	}
	s, err := b.look(ctx, &want)
	if err != nil {
		return backend.Forecast{}, err
	}
	f := forecast{planner: planner{wanted: want, seen: s}}
	f.networks()
	f.volumes()
	if !want.remove {
		for i := range want.workloads {
			f.workload(&want.workloads[i])
		}
	}
	f.leftovers()
	return backend.Forecast{Changes: f.changes, Refused: want.refused}, nil
}

// forecast gathers changes. It is pure.
type forecast struct {
	planner
	changes []backend.Change
}

func (f *forecast) say(ref manifests.Ref, verb backend.Verb, format string, args ...any) *backend.Change {
	f.changes = append(f.changes, backend.Change{Ref: ref, Verb: verb, Detail: fmt.Sprintf(format, args...)})
	return &f.changes[len(f.changes)-1]
}

func (f *forecast) networks() {
	for _, n := range f.wanted.networks {
		if !f.remove && !f.hasNetwork(n.name) {
			f.say(n.ref, backend.Create, "network %s", n.subnet)
		}
	}
}

func (f *forecast) volumes() {
	for _, c := range f.claims {
		if !f.remove && !c.adopted && !f.hasVolume(c.volume) {
			f.say(c.ref, backend.Create, "volume %s", c.volume)
		}
	}
}

// workload says what its pods will go through.
func (f *forecast) workload(w *wantedWorkload) {
	if w.broken != nil {
		return
	}
	if w.job != nil {
		f.job(w)
		return
	}
	c := f.crew(w)
	there := len(c.fresh) + len(c.old)
	switch {
	case there == 0 && w.replicas > 0:
		f.say(w.ref, backend.Create, "%s", podCount(w.replicas))
	case len(c.old) > 0:
		f.replaced(w, c)
	case f.reloads(w, c):
		f.say(w.ref, backend.Update, "configuration is tried out and reloaded in place")
	}
	if len(c.old) == 0 && there > 0 && there != w.replicas {
		f.say(w.ref, backend.Update, "from %s to %d", podCount(there), w.replicas)
	}
}

func (f *forecast) replaced(w *wantedWorkload, c crew) {
	if w.rollout.recreate {
		change := f.say(w.ref, backend.Replace, "%s, ended before the new one comes", podCount(len(c.old)))
		change.Interruption, change.Cause = recreation, w.rollout.why
		return
	}
	change := f.say(w.ref, backend.Replace, "%s, %d more at a time; each goes when another is ready", podCount(len(c.old)), w.rollout.surge)
	if w.rollout.unavailable >= w.replicas && w.rollout.surge == 0 {
		change.Interruption, change.Cause = recreation, "maxUnavailable allows all pods to be away"
	}
}

func (f *forecast) reloads(w *wantedWorkload, c crew) bool {
	return slices.ContainsFunc(c.fresh, func(m member) bool {
		want := w.named(m.name)
		return f.stale(&want, m.pod)
	})
}

func (f *forecast) job(w *wantedWorkload) {
	if _, ended := f.result(w.ref); !ended && len(f.tries(w)) == 0 {
		f.say(w.ref, backend.Create, "runs once")
	}
}

// leftovers is what goes, or stays although nobody asks for it.
func (f *forecast) leftovers() {
	gone := map[manifests.Ref]int{}
	for _, pod := range f.pods {
		if !f.keeps(pod) {
			gone[pod.workload()]++
		}
	}
	for _, pod := range f.pods { // in their order, each workload once
		if n := gone[pod.workload()]; n > 0 {
			f.say(pod.workload(), backend.Remove, "%s", podCount(n))
			delete(gone, pod.workload())
		}
	}
	for _, v := range f.seen.volumes {
		claim := v.labels[labelClaim]
		if claim == "" || !f.remove && slices.ContainsFunc(f.claims, func(c wantedClaim) bool { return c.volume == v.name }) {
			continue
		}
		ref := manifests.Ref{Kind: "PersistentVolumeClaim", Name: claim}
		if f.disposable(v, false) {
			f.say(ref, backend.Remove, "volume %s and its data", v.name)
		} else {
			f.say(ref, backend.Retain, "volume %s and its data", v.name)
		}
	}
	for _, n := range f.seen.networks {
		if !f.keepsNetwork(n.name) {
			f.say(manifests.Ref{Kind: "NetworkPolicy", Name: n.labels[labelNetwork]}, backend.Remove, "network %s", n.subnet)
		}
	}
}

func podCount(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", n)
}
