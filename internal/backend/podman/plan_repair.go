package podman

import "time"

// repair mends a pod that stays but does not run as it should.
func (p *planner) repair(w *wantedWorkload, m member) {
	if m.busy || m.pod.id == "" || !p.mayTry(m.name, w.pod.hash) {
		return
	}
	want := w.named(m.name)
	base := step{ref: w.ref, pod: m.pod, want: &want}
	switch {
	case m.pod.infra.state != "running":
		// A new infra container has a new network namespace, which only a restart of the whole pod gives to the others.
		// Podman ends it, too, when the last of them has ended: then their back-off is waited for.
		if at := p.backAt(m.pod); p.now.Before(at) {
			p.due(at)
			return
		}
		base.action = restartPod
		p.add(base)
	case !want.attached(p.net[m.pod.id].byNet):
		base.action = joinNetworks
		p.add(base)
	case p.shut[m.pod.id] && m.ready:
		base.action = openPorts
		p.add(base)
	case p.stale(&want, m.pod):
		base.action, base.id = reloadPod, mainContainer(w, m.pod).id
		p.add(base)
	default:
		p.containers(w, m, base)
	}
}

// backAt is when the first container of a pod whose containers have all ended may be started again; at once if one runs.
func (p *planner) backAt(pod podInfo) time.Time {
	var at time.Time
	for _, c := range pod.containers {
		if !c.stopped() {
			return time.Time{}
		}
		if next := p.lives[c.id].startAt(c); at.IsZero() || next.Before(at) {
			at = next
		}
	}
	return at
}

// attached tells whether a pod is on all its networks.
func (p *wantedPod) attached(byNet map[string]endpoint) bool {
	for _, a := range p.attachments {
		if _, on := byNet[a.network]; !on {
			return false
		}
	}
	return true
}

// stale tells whether the program of a running pod has not taken up its configuration, and has not refused it either.
func (p *planner) stale(want *wantedPod, pod podInfo) bool {
	if want.reload == nil || pod.labels[labelHash] != want.hash || p.rejected[pod.name] == want.reload.digest {
		return false
	}
	for _, v := range p.volumes {
		if v.labels[labelPod] == pod.name && v.labels[labelLoaded] != "" {
			return v.labels[labelLoaded] != want.reload.digest
		}
	}
	return true
}

func mainContainer(w *wantedWorkload, pod podInfo) containerInfo {
	for _, c := range pod.containers {
		if manifestName(pod.name, c.name) == w.main {
			return c
		}
	}
	return containerInfo{}
}

// containers starts those of a pod that have ended, at once or when their back-off is over, and takes restarts over from
// Podman, which knows no back-off, once a container has ended by itself.
func (p *planner) containers(w *wantedWorkload, m member, base step) {
	for _, c := range m.pod.containers {
		l, s := p.lives[c.id], base
		s.id = c.id
		switch {
		case c.stopped():
			if at := l.startAt(c); p.now.Before(at) {
				p.due(at)
				continue
			}
			s.action = startContainer
		case c.state == "running" && l.crashes > 0 && !l.held:
			s.action = holdContainer
		case c.state == "running" && l.held && p.now.Sub(c.started) >= crashMemory:
			s.action = releaseContainer
		case c.state != "running": // on its way from one state to another, of whose end no event tells
			p.due(p.now.Add(settle))
			continue
		default:
			if l.held {
				p.due(c.started.Add(crashMemory))
			}
			continue
		}
		p.add(s)
		return
	}
}

// Back-off of containers that end again and again, as a kubelet's (pkg/kubelet/kubelet.go, MaxContainerBackOff).
const (
	firstCrashWait = 10 * time.Second
	maxCrashWait   = 5 * time.Minute
	// crashMemory is how long a container must run for its earlier ends to be forgotten.
	crashMemory = 10 * time.Minute
)

// life is what is remembered of a container: how often it ended in a row. Its first restart is Podman's own, and quick; by
// then Podman has been told that it is the last one.
type life struct {
	// started and restarts identify the start that was seen last.
	started  time.Time
	restarts int32
	crashes  int
	// total of all restarts that are known of, whoever did them.
	total int
	// counted tells whether the end of this start is among crashes.
	counted bool
	// held tells whether Podman has been told not to start it again and again.
	held bool
	// begun tells of a start from here that has not been seen: Podman lists seconds, and two starts may share one.
	begun bool
}

// begin is the life after a start from here of a container that was as it is given.
func (l life) begin(c containerInfo) life {
	if l.begun || l.restarts != c.restarts || !l.started.Equal(c.started) {
		return l // it has been seen already
	}
	l.total++
	l.begun = true
	return l
}

// sees tells whether c is how a start from here came out, and not a look from before it.
func (l life) sees(c containerInfo) bool {
	return !c.stopped() || l.restarts != c.restarts || !l.started.Equal(c.started)
}

// after is the life when the container has been seen as it is now.
func (l life) after(c containerInfo) life {
	if l.started.IsZero() {
		l.started, l.restarts = c.started, c.restarts
		l.crashes = min(int(c.restarts), 1) // seen before this process began
		l.total = int(c.restarts)
	}
	if l.begun && l.sees(c) {
		l.started, l.restarts, l.counted, l.begun = c.started, 0, false, false // Podman counts anew
	}
	if more := int(c.restarts - l.restarts); more > 0 { // Podman's own restarts
		ends := more
		if l.counted { // the first of them was seen between the end and the restart
			ends--
		}
		if ends > 0 {
			l.count(c.started.Sub(l.started), ends)
		}
		l.total += more
		l.started, l.restarts, l.counted = c.started, c.restarts, false
	} else if !c.started.Equal(l.started) {
		l.total++
		l.started, l.restarts, l.counted = c.started, c.restarts, false
	}
	if c.stopped() && !l.counted && !c.exited.IsZero() && !c.exited.Before(c.started) {
		l.count(c.exited.Sub(c.started), 1)
		l.counted = true
	}
	return l
}

func (l *life) count(ran time.Duration, ends int) {
	if ran >= crashMemory {
		l.crashes = 0
	}
	l.crashes += ends
}

// wait before the next start: none after the first end.
func (l life) wait() time.Duration {
	if l.crashes < 2 {
		return 0
	}
	return min(firstCrashWait<<min(l.crashes-2, 10), maxCrashWait)
}

// startAt is when a container that has ended may be started from here. The first time is Podman's own, if it does.
func (l life) startAt(c containerInfo) time.Time {
	if l.held {
		return c.exited.Add(l.wait())
	}
	return c.exited.Add(max(settle, l.wait()))
}
