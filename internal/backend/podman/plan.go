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
	// borrowed are the networks of other owners that are there of those that the set's pods join.
	borrowed []networkInfo
	// adopted says of each volume to adopt, or that is lent, whether it is there.
	adopted map[string]bool
	// images has the ID of each image that was looked for; empty if it is not there.
	images map[string]string
	// users has the user of each image that is there.
	users map[string]string
	// busy pods, by name, are being worked on.
	busy map[string]work
	// held objects, by name, failed and are not tried again before the time.
	held map[string]hold
	// taken says of each Service name that another owner of the namespace holds who that is.
	taken map[string]string
	// net is where each pod ID is on its networks.
	net map[string]podNetwork
	// ready tells of each pod ID whether and since when all its containers are.
	ready map[string]readiness
	// lives of containers by ID.
	lives map[string]life
	// edited tells of a container ID what about it is not as it was played.
	edited map[string]string
	// shut tells of a pod ID that its host ports lead nowhere.
	shut map[string]bool
	// rejected has, by pod name, the digest of the configuration that its program refused.
	rejected map[string]string
	// where Podman is.
	where place
	now   time.Time
}

// readiness of a pod.
type readiness struct {
	ok    bool
	since time.Time
}

// work on a pod that a task is at.
type work struct {
	action action
	ref    manifests.Ref
	hash   string
}

// hold on an object that failed in the form of hash; another form may be tried at once.
type hold struct {
	until time.Time
	hash  string
}

// settle is how long a stopped container is left to Podman's own restart before it is started from here.
const settle = 2 * time.Second

// action of a step.
type action string

const (
	createNetwork    action = "create network"
	removeNetwork    action = "remove network"
	createVolume     action = "create volume"
	removeVolume     action = "remove volume"
	playPod          action = "play pod"
	replacePod       action = "replace pod"
	restartPod       action = "restart pod"
	joinNetworks     action = "join networks of pod"
	openPorts        action = "open host ports of pod"
	removePod        action = "remove pod"
	reloadPod        action = "reload configuration of pod"
	startContainer   action = "start container of pod"
	holdContainer    action = "hold container of pod"
	releaseContainer action = "release container of pod"
)

// endsService tells whether the names of its Services are withdrawn from a pod that the action is done to. A pod that is
// replaced in one go keeps them: nobody else could bear them meanwhile, and it serves until it has ended.
func (a action) endsService() bool { return a == removePod || a == restartPod }

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

// work that a task of the step does.
func (s step) work() work {
	w := work{action: s.action, ref: s.ref}
	if s.want != nil {
		w.hash = s.want.hash
	}
	return w
}

// agenda is what can be done now, and when to look again although nothing happens.
type agenda struct {
	steps []step
	next  time.Time
}

// plan lists the steps that bring what is seen nearer to what is wanted, all of which may be done at once. It is pure.
func plan(w wanted, s seen) agenda {
	p := planner{wanted: w, seen: s, named: map[string]bool{}}
	p.createNetworks()
	p.createVolumes()
	for i := range w.workloads {
		p.workload(&w.workloads[i])
	}
	p.prune()
	return p.agenda
}

type planner struct {
	wanted
	seen
	agenda
	// named are the pods that steps of this plan give a name to.
	named map[string]bool
}

func (p *planner) add(s step) {
	p.steps = append(p.steps, s)
}

// due has the plan made again at the time.
func (p *planner) due(at time.Time) {
	if at.After(p.now) && (p.next.IsZero() || at.Before(p.next)) {
		p.next = at
	}
}

func (p *planner) workload(w *wantedWorkload) {
	switch {
	case w.broken != nil:
	case w.job != nil:
		p.job(w)
	case w.rollout.recreate:
		p.recreate(w)
	default:
		p.roll(w)
	}
}

func (p *planner) createNetworks() {
	if p.remove {
		return
	}
	for _, n := range p.wanted.networks {
		if !p.hasNetwork(n.name) && p.mayTry(n.name, "") {
			p.add(step{action: createNetwork, ref: n.ref, network: n.networkInfo})
		}
	}
}

func (p *planner) createVolumes() {
	for _, c := range p.claims {
		if c.retain && p.labelledDelete(c.volume) && !p.marked(c.volume) {
			p.add(step{action: createVolume, ref: c.ref, volume: p.marker(c)})
		}
		if !p.remove && !c.adopted && !p.hasVolume(c.volume) && p.mayTry(c.volume, "") {
			if owner, known := p.ownerOf(c.volume); known {
				p.add(step{action: createVolume, ref: c.ref, volume: volumeInfo{name: c.volume, labels: c.labels, user: owner}})
			}
		}
	}
}

// ownerOf a volume is the user of the first container that writes to it. It is not known while that one's image is missing.
func (p *planner) ownerOf(volume string) (*user, bool) {
	for _, w := range p.workloads {
		for _, v := range w.pod.written {
			if v.volume != volume {
				continue
			}
			id, asked := p.images[v.image]
			return v.user(p.users[v.image]), !asked || id != "" || v.uid != nil
		}
	}
	return nil, true
}

// owned has the volumes of a pod's own belong to those who write to them.
func (p *planner) owned(pod wantedPod) wantedPod {
	volumes := slices.Clone(pod.volumes)
	for i := range volumes {
		for _, v := range pod.written {
			if v.volume == volumes[i].name {
				volumes[i].user = v.user(p.users[v.image])
			}
		}
	}
	pod.volumes = volumes
	return pod
}

// playable tells whether everything the pod needs is there.
func (p *planner) playable(want *wantedPod) bool {
	for _, i := range want.images {
		if p.images[i.ref] == "" {
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

func (p *planner) pod(name string) (podInfo, bool) {
	i := slices.IndexFunc(p.pods, func(pod podInfo) bool { return pod.name == name })
	if i < 0 {
		return podInfo{}, false
	}
	return p.pods[i], true
}

func (p *planner) hasNetwork(name string) bool {
	_, ok := p.network(name)
	return ok
}

// network of this name that pods can join.
func (s *seen) network(name string) (networkInfo, bool) {
	for _, list := range [][]networkInfo{s.networks, s.borrowed} {
		for _, n := range list {
			if n.name == name {
				return n, true
			}
		}
	}
	return networkInfo{}, false
}

func (p *planner) hasVolume(name string) bool {
	return slices.ContainsFunc(p.volumes, func(v volumeInfo) bool { return v.name == name })
}

// mayTry tells whether an object may be worked on: it has not just failed in this form.
func (p *planner) mayTry(name, hash string) bool {
	h, held := p.held[name]
	if !held || h.hash != hash || !p.now.Before(h.until) {
		return true
	}
	p.due(h.until)
	return false
}

// workload that the pod was played for.
func (p podInfo) workload() manifests.Ref {
	return manifests.Ref{Kind: p.labels[labelKind], Name: p.labels[manifests.LabelWorkload]}
}

// halfMade pods were left by a play that failed before it started them.
func (p podInfo) halfMade() bool { return p.status == "Created" || len(p.containers) == 0 }

func (c containerInfo) stopped() bool {
	switch c.state {
	case "exited", "stopped", "created", "configured", "initialized": // the last when Podman died before the start
		return true
	}
	return false
}
