package podman

import (
	"fmt"
	"slices"
	"time"

	"mockup.dev/mockup/manifests"
)

// seen is what is there of one owner, and what this process knows beside.
type seen struct {
	pods     []podInfo
	volumes  []volumeInfo
	networks []networkInfo
	// adopted says of each volume to adopt whether it is there.
	adopted map[string]bool
	// images says of each image whether it is there.
	images map[string]bool
	// busy pods are being worked on by a task.
	busy map[string]bool
	// held pods failed and are not tried again before the time.
	held map[string]time.Time
	// taken says of each Service name that another owner of the namespace holds who that is.
	taken map[string]string
	// endpoints of each pod ID by Podman network.
	endpoints map[string]map[string]endpoint
	// ready tells of each pod ID whether all its containers are.
	ready map[string]bool
	now   time.Time
}

// settle is how long a stopped container is left to Podman's own restart before it is started from here.
const settle = 2 * time.Second

// action of a step.
type action string

const (
	createNetwork  action = "create network"
	removeNetwork  action = "remove network"
	createVolume   action = "create volume"
	removeVolume   action = "remove volume"
	playPod        action = "play pod"
	replacePod     action = "replace pod"
	restartPod     action = "restart pod"
	namePod        action = "name pod"
	removePod      action = "remove pod"
	startContainer action = "start container"
)

// step is one effect. Steps on pods take time and run as tasks.
type step struct {
	action  action
	ref     manifests.Ref
	network networkInfo
	volume  volumeInfo
	pod     podInfo
	want    *wantedPod
	id      string
}

func (s step) String() string {
	switch s.action {
	case createNetwork, removeNetwork:
		return fmt.Sprintf("%s %s", s.action, s.network.name)
	case createVolume, removeVolume:
		return fmt.Sprintf("%s %s", s.action, s.volume.name)
	}
	return fmt.Sprintf("%s %s", s.action, s.podName())
}

func (s step) podName() string {
	if s.want != nil {
		return s.want.name
	}
	return s.pod.name
}

// plan lists the steps that bring what is seen nearer to what is wanted, all of which may be done at once. It is pure,
// and empty when nothing is to be done now.
func plan(w wanted, s seen) []step {
	p := planner{wanted: w, seen: s}
	p.createNetworks()
	p.createVolumes()
	for _, workload := range w.workloads {
		p.workload(workload)
	}
	p.prune()
	return p.steps
}

type planner struct {
	wanted
	seen
	steps []step
}

func (p *planner) add(s step) { p.steps = append(p.steps, s) }

func (p *planner) createNetworks() {
	if p.remove {
		return
	}
	for _, n := range p.wanted.networks {
		if !p.hasNetwork(n.name) && p.mayTry(n.name) {
			p.add(step{action: createNetwork, ref: n.ref, network: n.networkInfo})
		}
	}
}

func (p *planner) createVolumes() {
	for _, c := range p.claims {
		if c.retain && p.labelledDelete(c.volume) && !p.marked(c.volume) {
			p.add(step{action: createVolume, ref: c.ref, volume: p.marker(c)})
		}
		if !p.remove && !c.adopted && !p.hasVolume(c.volume) && p.mayTry(c.volume) {
			p.add(step{action: createVolume, ref: c.ref, volume: volumeInfo{name: c.volume, labels: c.labels}})
		}
	}
}

// workload plans its pods. A pod that is to be replaced is taken down only when its successor can be played, and, unless
// the strategy is Recreate, only while all others of the workload are ready.
func (p *planner) workload(w wantedWorkload) {
	whole := true
	for _, want := range w.pods {
		pod, ok := p.pod(want.name)
		if !ok || p.busy[want.name] || !p.ready[pod.id] {
			whole = false
		}
	}
	replacing := false
	for i := range w.pods {
		want := &w.pods[i]
		pod, there := p.pod(want.name)
		if p.busy[want.name] {
			continue
		}
		switch {
		case !there:
			if p.playable(want) {
				p.add(step{action: playPod, ref: w.ref, want: want})
			}
		case pod.labels[labelHash] != want.hash || pod.halfMade():
			// One at a time; a pod that does not serve may go at any time.
			serves := p.ready[pod.id] && len(w.pods) > 1 && !w.recreate
			if p.playable(want) && (!serves || whole && !replacing) {
				replacing = true
				p.add(step{action: replacePod, ref: w.ref, want: want, pod: pod})
			}
		case w.once:
		default:
			p.repair(w.ref, want, pod)
		}
	}
}

// repair mends a pod that is as wanted but does not run. A new infra container has a new network namespace, which only
// a restart of the whole pod gives to the others too.
func (p *planner) repair(ref manifests.Ref, want *wantedPod, pod podInfo) {
	if !p.mayTry(pod.name) {
		return
	}
	if pod.infra.state != "running" {
		p.add(step{action: restartPod, ref: ref, pod: pod, want: want})
		return
	}
	if p.ready[pod.id] && !want.named(p.endpoints[pod.id]) {
		p.add(step{action: namePod, ref: ref, pod: pod, want: want})
		return
	}
	for _, c := range pod.containers {
		if c.stopped() && p.now.Sub(c.exited) > settle {
			p.add(step{action: startContainer, ref: ref, pod: pod, want: want, id: c.id})
		}
	}
}

// playable tells whether everything the pod needs is there.
func (p *planner) playable(want *wantedPod) bool {
	if !p.mayTry(want.name) {
		return false
	}
	for _, i := range want.images {
		if !p.images[i.ref] {
			return false
		}
	}
	for _, a := range want.attachments {
		if !p.hasNetwork(a.network) {
			return false
		}
	}
	for _, s := range want.services {
		if p.taken[s] != "" {
			return false
		}
	}
	for _, v := range want.claims {
		if !p.hasVolume(v) && !p.adopted[v] {
			return false
		}
	}
	return true
}

// prune removes what is no longer wanted: pods first, and what they use when they are gone.
func (p *planner) prune() {
	keep := p.keep()
	leaving := slices.ContainsFunc(p.pods, func(pod podInfo) bool { return !keep[pod.name] })
	for _, pod := range p.pods {
		if !keep[pod.name] && !p.busy[pod.name] && p.mayTry(pod.name) {
			p.add(step{action: removePod, ref: manifests.Ref{Kind: "Pod", Name: pod.name}, pod: pod})
		}
	}
	for _, v := range p.volumes {
		if p.disposable(v, keep, leaving) && p.mayTry(v.name) {
			p.add(step{action: removeVolume, volume: v})
		}
	}
	for _, n := range p.seen.networks {
		if !keep[n.name] && !leaving && p.mayTry(n.name) {
			p.add(step{action: removeNetwork, network: n})
		}
	}
}

// keep names the pods and networks that stay.
func (p *planner) keep() map[string]bool {
	keep := map[string]bool{}
	if p.remove {
		return keep
	}
	for _, w := range p.workloads {
		for _, pod := range w.pods {
			keep[pod.name] = true
		}
		for _, pod := range p.pods {
			if w.broken != nil && pod.workload() == w.ref {
				keep[pod.name] = true
			}
		}
	}
	for _, n := range p.wanted.networks {
		keep[n.name] = true
	}
	return keep
}

// disposable volumes carry the configuration of a pod that is gone, or fulfil a claim that is neither wanted nor retained.
func (p *planner) disposable(v volumeInfo, keep map[string]bool, leaving bool) bool {
	if pod := v.labels[labelPod]; pod != "" {
		_, there := p.pod(pod)
		return !there && !p.busy[pod] && !keep[pod]
	}
	if kept := v.labels[labelRetains]; kept != "" {
		return !p.hasVolume(kept) || slices.ContainsFunc(p.claims, func(c wantedClaim) bool { return c.volume == kept && !c.retain })
	}
	if p.marked(v.name) || v.labels[labelClaim] == "" || v.labels[manifests.LabelReclaim] != "Delete" || leaving {
		return false
	}
	for _, c := range p.claims {
		if c.volume == v.name && (c.retain || !p.remove) {
			return false
		}
	}
	return true
}

func (p *planner) pod(name string) (podInfo, bool) {
	i := slices.IndexFunc(p.pods, func(pod podInfo) bool { return pod.name == name })
	if i < 0 {
		return podInfo{}, false
	}
	return p.pods[i], true
}

func (p *planner) hasNetwork(name string) bool {
	return slices.ContainsFunc(p.seen.networks, func(n networkInfo) bool { return n.name == name })
}

func (p *planner) hasVolume(name string) bool {
	return slices.ContainsFunc(p.volumes, func(v volumeInfo) bool { return v.name == name })
}

func (p *planner) labelledDelete(volume string) bool {
	return slices.ContainsFunc(p.volumes, func(v volumeInfo) bool {
		return v.name == volume && v.labels[manifests.LabelReclaim] == "Delete"
	})
}

// marked tells whether a marker says that the volume is to be retained, whatever its own label says.
func (p *planner) marked(volume string) bool {
	return slices.ContainsFunc(p.volumes, func(v volumeInfo) bool { return v.labels[labelRetains] == volume })
}

func (p *planner) marker(c wantedClaim) volumeInfo {
	labels := ownerLabels(p.owner)
	labels[labelRetains] = c.volume
	return volumeInfo{name: podVolumeName(c.volume, "retain"), labels: labels}
}

func (p *planner) mayTry(name string) bool { return !p.now.Before(p.held[name]) }

// named tells whether a pod with these endpoints is on all its networks and bears the names of its Services there.
func (p *wantedPod) named(endpoints map[string]endpoint) bool {
	for _, a := range p.attachments {
		e, on := endpoints[a.network]
		if !on || !e.bears(p.aliases) {
			return false
		}
	}
	return true
}

func (e endpoint) bears(aliases []string) bool {
	return !slices.ContainsFunc(aliases, func(a string) bool { return !slices.Contains(e.aliases, a) })
}

// workload that the pod was played for.
func (p podInfo) workload() manifests.Ref {
	return manifests.Ref{Kind: p.labels[labelKind], Name: p.labels[manifests.LabelWorkload]}
}

// halfMade pods were left by a play that failed before it started them.
func (p podInfo) halfMade() bool { return p.status == "Created" || len(p.containers) == 0 }

func (c containerInfo) stopped() bool {
	return c.state == "exited" || c.state == "stopped" || c.state == "created" || c.state == "configured"
}
