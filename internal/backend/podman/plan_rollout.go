package podman

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// crew is the pods of one workload as a Deployment counts them: the fresh ones are as wanted now, the old ones from
// before, and those that are leaving count no more.
type crew struct {
	fresh, old []member
	leaving    int
}

// member of a crew. One that is busy is being worked on: it counts, and nothing else is done to it.
type member struct {
	pod              podInfo
	name             string
	busy             bool
	ready, available bool
}

func (p *planner) crew(w *wantedWorkload) crew {
	var c crew
	for _, pod := range p.pods {
		if pod.workload() != w.ref {
			continue
		}
		busy, isBusy := p.busy[pod.name]
		if !isBusy && pod.halfMade() { // serves nobody
			p.retire(w, member{pod: pod, name: pod.name})
		}
		if busy.action == removePod || !isBusy && pod.halfMade() {
			c.leaving++
			continue
		}
		ready := p.ready[pod.id]
		m := member{pod: pod, name: pod.name, busy: isBusy, ready: ready.ok}
		m.available = ready.ok && !p.now.Before(ready.since.Add(w.rollout.minReady))
		if ready.ok && !m.available {
			p.due(ready.since.Add(w.rollout.minReady))
		}
		if p.current(w, pod, isBusy) {
			c.fresh = append(c.fresh, m)
		} else {
			c.old = append(c.old, m)
		}
	}
	for name, busy := range p.busy { // being played, and not to be seen yet
		if _, there := p.pod(name); there || busy.ref != w.ref || busy.action == removePod {
			continue
		}
		if m := (member{name: name, busy: true}); busy.hash == w.pod.hash {
			c.fresh = append(c.fresh, m)
		} else {
			c.old = append(c.old, m)
		}
	}
	for _, members := range [][]member{c.fresh, c.old} {
		slices.SortFunc(members, func(a, b member) int { return cmp.Compare(ordinal(a.name), ordinal(b.name)) })
	}
	return c
}

// current tells whether a pod is as wanted: played from the same template, whole, and from the image that the reference
// means now, where the pull policy asks for that.
func (p *planner) current(w *wantedWorkload, pod podInfo, busy bool) bool {
	if pod.labels[labelHash] != w.pod.hash {
		return false
	}
	if busy {
		return true
	}
	if !pod.hasContainers(w) {
		return false
	}
	for _, c := range pod.containers {
		if p.edited[c.id] != "" {
			return false
		}
	}
	return !slices.ContainsFunc(w.pod.images, func(i wantedImage) bool {
		id := p.images[i.ref]
		return i.policy == corev1.PullAlways && id != "" && !pod.runs(i.ref, id)
	})
}

// hasContainers tells whether all containers of the template are there.
func (p podInfo) hasContainers(w *wantedWorkload) bool {
	for name := range w.pod.containers {
		is := func(c containerInfo) bool { return manifestName(p.name, c.name) == name }
		if !slices.ContainsFunc(p.containers, is) && !w.pod.initial[name] {
			return false
		}
	}
	return true
}

// runs tells whether no container of the pod runs another image than id under the reference.
func (p podInfo) runs(ref, id string) bool {
	return !slices.ContainsFunc(p.containers, func(c containerInfo) bool { return c.image == ref && c.imageID != id })
}

// available counts the members that are.
func available(members []member) int {
	n := 0
	for _, m := range members {
		if m.available {
			n++
		}
	}
	return n
}

// roll is the rolling update of the Deployment controller (pkg/controller/deployment/rolling.go): new pods come as far as
// the surge allows, old ones go as far as enough are available, those that don't serve first.
func (p *planner) roll(w *wantedWorkload) {
	c := p.crew(w)
	keep := p.surplus(w, c.fresh)
	p.grow(w, min(w.replicas-len(c.fresh), w.replicas+w.rollout.surge-len(c.fresh)-len(c.old)))
	keep = append(keep, p.retireOld(w, c)...)
	for _, m := range keep {
		p.repair(w, m)
	}
}

// grow plays up to n pods more.
func (p *planner) grow(w *wantedWorkload, n int) {
	for range n {
		want := p.owned(w.named(p.freeName(w)))
		if !p.playable(&want) || !p.mayTry(want.name, want.hash) {
			return
		}
		p.named[want.name] = true
		p.add(step{action: playPod, ref: w.ref, want: &want})
	}
}

// freeName is the first of the workload's names that no pod bears.
func (p *planner) freeName(w *wantedWorkload) string {
	for n := 0; ; n++ {
		name := podName(p.owner.Namespace, w.ref.Name, n)
		_, there := p.pod(name)
		_, busy := p.busy[name]
		if !there && !busy && !p.named[name] {
			return name
		}
	}
}

// surplus removes the fresh pods that are too many, those that don't serve and the last ones first, and returns the others.
func (p *planner) surplus(w *wantedWorkload, fresh []member) []member {
	sorted := slices.Clone(fresh)
	slices.SortStableFunc(sorted, func(a, b member) int { return boolCompare(b.ready, a.ready) })
	for len(sorted) > w.replicas {
		last := sorted[len(sorted)-1]
		sorted = sorted[:len(sorted)-1]
		p.retire(w, last)
	}
	return sorted
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// retireOld removes old pods and returns those that stay for now. Fresh pods that are not available yet leave no room:
// there may be reasons why they never will be.
func (p *planner) retireOld(w *wantedWorkload, c crew) []member {
	atLeast := w.replicas - w.rollout.unavailable
	room := len(c.old) + min(available(c.fresh), w.replicas) - atLeast
	serving := available(c.fresh) + available(c.old)
	old := slices.Clone(c.old)
	slices.SortStableFunc(old, func(a, b member) int { return boolCompare(a.available, b.available) })
	var stay []member
	for _, m := range old {
		if room <= 0 || m.busy || m.available && serving <= atLeast {
			stay = append(stay, m)
			continue
		}
		room--
		if m.available {
			serving--
		}
		p.retire(w, m)
	}
	return stay
}

func (p *planner) retire(w *wantedWorkload, m member) {
	if !m.busy && p.mayTry(m.name, "") {
		p.add(step{action: removePod, ref: w.ref, pod: m.pod})
	}
}

// recreate has all old pods gone before the first new one comes. A single one is replaced in one go, which is quickest.
func (p *planner) recreate(w *wantedWorkload) {
	c := p.crew(w)
	if len(c.old) == 0 {
		keep := p.surplus(w, c.fresh)
		if c.leaving == 0 {
			p.grow(w, w.replicas-len(c.fresh))
		}
		for _, m := range keep {
			p.repair(w, m)
		}
		return
	}
	next := p.owned(w.named(c.old[0].name))
	if !p.playable(&next) || !p.mayTry(next.name, next.hash) || p.refuses(&next) {
		for _, m := range append(c.fresh, c.old...) {
			p.repair(w, m)
		}
		return
	}
	if len(c.old) == 1 && len(c.fresh) == 0 && c.leaving == 0 && w.replicas == 1 {
		if !c.old[0].busy {
			p.add(step{action: replacePod, ref: w.ref, pod: c.old[0].pod, want: &next})
		}
		return
	}
	for _, m := range c.old {
		p.retire(w, m)
	}
}

// refuses tells whether the program has been seen to refuse the configuration that the pod would come with.
func (p *planner) refuses(want *wantedPod) bool {
	return want.reload != nil && p.rejected[want.name] == want.reload.digest
}

// ordinal is the number at the end of a pod's name.
func ordinal(name string) int {
	n, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	if err != nil {
		return 0
	}
	return n
}
