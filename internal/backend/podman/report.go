package podman

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// knowledge is what a judgement needs beside what is wanted and seen.
type knowledge struct {
	failures map[string]failure
	pulls    map[string]problem
	// message says of a pod why it is not ready.
	message func(podInfo) string
	// details of a container, by ID.
	details func(id string) containerDetails
	// node is what the node agent was told, and could not make true.
	node told
	// said has, by pod name, what a program said of the configuration that it refused.
	said     map[string]rejectedError
	served   map[manifests.Ref]bool
	progress map[manifests.Ref]progress
}

// report judges what was seen, and remembers which workloads serve and how roll-outs go on.
func (b *Backend) report(w *wanted, s *seen, told told) (backend.Observation, time.Time) {
	b.readiness(s)
	m := b.memoryOf(w.owner)
	k := knowledge{
		failures: b.tasks.failures(), pulls: b.images.problems(), node: told,
		message: func(p podInfo) string { _, text := b.prober.state(p); return text },
		details: func(id string) containerDetails { return b.detailsOf(w.owner, id) },
		said:    map[string]rejectedError{}, served: map[manifests.Ref]bool{}, progress: map[manifests.Ref]progress{},
	}
	b.mu.Lock()
	maps.Copy(k.said, m.rejected)
	maps.Copy(k.served, m.served)
	k.progress = advance(m.progress, w, s)
	m.progress = k.progress
	b.mu.Unlock()
	o := judge(*w, *s, k)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, state := range o.Objects {
		m.served[state.Ref] = state.Phase == backend.Ready || state.Phase == backend.NotReady
	}
	return o, nextDeadline(o, w, k.progress, s.now)
}

// judge says what is there in the words of the seam. It is pure.
func judge(w wanted, s seen, k knowledge) backend.Observation {
	j := judgement{wanted: w, seen: s, knowledge: k}
	if !w.remove {
		for _, n := range w.networks {
			j.add(j.network(n))
		}
		for _, c := range w.claims {
			j.add(j.claim(c))
		}
		for _, service := range w.services {
			j.add(j.service(service))
		}
		for _, ref := range w.passive {
			j.add(backend.State{Ref: ref, Phase: backend.Ready})
		}
		for i := range w.workloads {
			j.add(j.workload(&w.workloads[i]))
		}
	}
	j.leftovers()
	return backend.Observation{Objects: j.objects, Refused: w.refused}
}

type judgement struct {
	wanted
	seen
	knowledge
	objects []backend.State
}

func (j *judgement) add(s backend.State) { j.objects = append(j.objects, s) }

func (j *judgement) network(n wantedNetwork) backend.State {
	state := backend.State{Ref: n.ref, Phase: backend.Pending, Reason: backend.ReasonCreating}
	if err := j.failures[n.name].err; err != nil {
		state.Phase, state.Reason, state.Message = backend.Failed, classify(err), err.Error()
	}
	there, ok := j.seen.network(n.name)
	if !ok {
		return state
	}
	if there.subnet != n.subnet || there.internal != n.internal {
		return backend.State{Ref: n.ref, Phase: backend.Failed, Reason: backend.ReasonImmutable,
			Message: fmt.Sprintf("network %s is there with subnet %s, internal %t; wanted are %s, %t: a network can't be changed, only made anew under another name", n.name, there.subnet, there.internal, n.subnet, n.internal)}
	}
	if there.dns {
		return backend.State{Ref: n.ref, Phase: backend.Failed, Reason: backend.ReasonImmutable,
			Message: fmt.Sprintf("network %s was made by an older mockup, with Podman's own name server: `mockup down`, then `mockup up` makes it anew", n.name)}
	}
	return backend.State{Ref: n.ref, Phase: backend.Ready}
}

func (j *judgement) claim(c wantedClaim) backend.State {
	if c.adopted {
		if j.adopted[c.volume] {
			return backend.State{Ref: c.ref, Phase: backend.Ready, Message: "adopted volume " + c.volume}
		}
		return backend.State{Ref: c.ref, Phase: backend.Failed, Reason: backend.ReasonMissing,
			Message: fmt.Sprintf("there is no volume %s to adopt: `podman volume ls` lists those that are there", c.volume)}
	}
	if slices.ContainsFunc(j.volumes, func(v volumeInfo) bool { return v.name == c.volume }) {
		return backend.State{Ref: c.ref, Phase: backend.Ready, Message: "volume " + c.volume}
	}
	if err := j.failures[c.volume].err; err != nil {
		return backend.State{Ref: c.ref, Phase: backend.Failed, Reason: classify(err), Message: err.Error()}
	}
	return backend.State{Ref: c.ref, Phase: backend.Pending, Reason: backend.ReasonCreating}
}

func (j *judgement) service(s wantedService) backend.State {
	if holder := j.taken[s.ref.Name]; holder != "" {
		return backend.State{Ref: s.ref, Phase: backend.Failed, Reason: backend.ReasonNameTaken,
			Message: fmt.Sprintf("the Service name %s leads to %s in this namespace", s.ref.Name, holder)}
	}
	return backend.State{Ref: s.ref, Phase: backend.Ready}
}

// workload gathers the state of its pods.
func (j *judgement) workload(w *wantedWorkload) backend.State {
	state := backend.State{Ref: w.ref, Desired: int32(w.replicas)}
	if w.broken != nil {
		state.Phase, state.Reason, state.Message = backend.Failed, backend.ReasonMissing, w.broken.Error()
		return state
	}
	if w.job != nil {
		return j.job(w, state)
	}
	p := planner{wanted: j.wanted, seen: j.seen}
	c := p.crew(w)
	state.Updated, state.Passing = int32(len(c.fresh)), int32(c.leaving)
	for _, m := range slices.Concat(c.fresh, c.old) {
		if m.pod.id != "" {
			j.count(w, m, &state)
		} else {
			state.Passing++
		}
	}
	settled := len(c.fresh) == w.replicas && len(c.old) == 0
	phase, reason, message := j.trouble(w, c)
	switch {
	case phase == backend.Failed:
	case settled && phase == backend.Ready && int(state.Ready) == w.replicas:
		phase, reason, message = backend.Ready, "", j.unkept(c)
	case j.overdue(w):
		phase, reason, message = backend.Failed, backend.ReasonDeadline, fmt.Sprintf("no progress within %s: %s", w.rollout.deadline, message)
	case !settled && len(c.old) > 0:
		phase, reason = backend.Progressing, backend.ReasonRollingOut
		message = fmt.Sprintf("%d of %d pods are new and ready, %d old ones are left: %s", available(c.fresh), w.replicas, len(c.old), message)
	case phase == backend.Progressing && reason != backend.ReasonRollingOut && j.served[w.ref]:
		phase = backend.NotReady
	}
	state.Phase, state.Reason, state.Message = phase, reason, strings.TrimSuffix(message, ": ")
	return j.refused(w, c, state)
}

// count adds what a pod shows to the state of its workload.
func (j *judgement) count(w *wantedWorkload, m member, state *backend.State) {
	pod := m.pod
	ready := m.ready && j.node.failures[pod.name] == ""
	if ready {
		state.Ready++
	}
	state.Pods = append(state.Pods, backend.Pod{Name: pod.name, Ready: ready, Addresses: j.addresses(pod)})
	for _, c := range pod.containers {
		l := j.lives[c.id]
		state.Restarts += max(c.restarts, int32(l.crashes))
		if manifestName(pod.name, c.name) == w.main {
			state.Image = c.image
			if c.stopped() {
				code := c.exitCode
				state.ExitCode = &code
			}
		}
	}
}

// addresses of a pod by the networks' names in the specification: its fixed one where it has one.
func (j *judgement) addresses(pod podInfo) map[string]string {
	out := map[string]string{}
	for _, n := range j.joinable() {
		if e, on := j.net[pod.id].byNet[n.name]; on {
			out[n.short] = e.addr.String()
		}
		if fixed, bears := j.node.fixed[pod.name][n.name]; bears {
			out[n.short] = fixed.String()
		}
	}
	return out
}

// trouble is the state of the new pod that is furthest from being ready.
func (j *judgement) trouble(w *wantedWorkload, c crew) (phase backend.Phase, reason, message string) {
	phase = backend.Ready
	worse := func(p backend.Phase, r, m string) {
		if p != backend.Ready && (phase == backend.Ready || p == backend.Failed && phase != backend.Failed) {
			phase, reason, message = p, r, m
		}
	}
	for _, m := range c.fresh {
		worse(j.member(w, m))
	}
	if len(c.fresh) < w.replicas {
		worse(j.absent(w))
	}
	for _, m := range c.old {
		if f, failed := j.failures[m.name]; failed {
			worse(backend.Failed, classify(f.err), f.err.Error())
		}
	}
	return phase, reason, message
}

// member judges one pod that is as wanted.
func (j *judgement) member(w *wantedWorkload, m member) (backend.Phase, string, string) {
	f, failed := j.failures[m.name]
	switch {
	case m.pod.id == "":
		return backend.Pending, backend.ReasonCreating, "the pod is being created"
	case failed && !m.ready:
		return backend.Failed, classify(f.err), f.err.Error()
	case j.node.failures[m.name] != "":
		return backend.Progressing, backend.ReasonStarting, "the pod has no names yet: " + j.node.failures[m.name]
	case m.available && failed && j.reloading(w, m):
		return backend.Failed, backend.ReasonReload, f.err.Error()
	case m.available && j.reloading(w, m):
		return backend.Progressing, backend.ReasonRollingOut, "its changed configuration is being tried out and reloaded"
	case m.available:
		return backend.Ready, "", ""
	case m.ready && w.rollout.minReady > 0:
		return backend.Progressing, backend.ReasonStarting, fmt.Sprintf("the pod has not been ready for %s yet", w.rollout.minReady)
	}
	for _, c := range m.pod.containers {
		if phase, reason, message := j.ended(m.pod, c); phase != "" {
			return phase, reason, message
		}
	}
	if message := j.message(m.pod); message != "" {
		return backend.Progressing, backend.ReasonUnready, message
	}
	return backend.Progressing, backend.ReasonStarting, "the pod is starting"
}

// reloading tells whether the program of a pod has yet to take up changed configuration.
func (j *judgement) reloading(w *wantedWorkload, m member) bool {
	p, want := planner{wanted: j.wanted, seen: j.seen}, w.named(m.name)
	return p.stale(&want, m.pod)
}

// ended judges a container that has ended, or has often lately.
func (j *judgement) ended(pod podInfo, c containerInfo) (backend.Phase, string, string) {
	l := j.lives[c.id]
	name := manifestName(pod.name, c.name)
	why := fmt.Sprintf("container %s ended with exit code %d", name, c.exitCode)
	reason := backend.ReasonExited
	if j.details(c.id).oomKilled {
		why, reason = fmt.Sprintf("container %s was killed (%s): it needed more memory than its limit", name, backend.ReasonOOMKilled), backend.ReasonOOMKilled
	}
	switch {
	case l.crashes >= 2 && c.stopped():
		return backend.Failed, backend.ReasonCrashLoop, fmt.Sprintf("%s, %d times in a row; it is started again every %s", why, l.crashes, l.wait())
	case c.stopped() && (c.exitCode != 0 || l.crashes > 0):
		return backend.Progressing, reason, why
	}
	return "", "", ""
}

// overdue tells whether a roll-out has made no progress for longer than it may.
func (j *judgement) overdue(w *wantedWorkload) bool {
	p, ok := j.progress[w.ref]
	return ok && w.rollout.deadline > 0 && j.now.Sub(p.since) >= w.rollout.deadline && !j.served[w.ref]
}

// refused says that a program did not take its changed configuration, and runs on with what it had.
func (j *judgement) refused(w *wantedWorkload, c crew, state backend.State) backend.State {
	if w.pod.reload == nil {
		return state
	}
	for _, m := range slices.Concat(c.fresh, c.old) {
		if r, ok := j.said[m.name]; ok && r.digest == w.pod.reload.digest {
			state.Phase, state.Reason, state.Message = backend.Failed, backend.ReasonReload, r.Error()
		}
	}
	return state
}

// absent says why a pod is not there as wanted yet.
func (j *judgement) absent(w *wantedWorkload) (backend.Phase, string, string) {
	p := planner{wanted: j.wanted, seen: j.seen}
	if f, failed := j.failures[p.freeName(w)]; failed && f.hash == w.pod.hash {
		return backend.Failed, classify(f.err), f.err.Error()
	}
	for _, image := range w.pod.images {
		if p, ok := j.pulls[image.ref]; ok {
			if p.reason == backend.ReasonImagePull {
				return backend.Failed, p.reason, p.message
			}
			return backend.Pending, p.reason, p.message
		}
	}
	for _, volume := range w.pod.claims {
		if slices.Contains(j.lent, volume) && !j.adopted[volume] {
			return backend.Pending, backend.ReasonCreating, fmt.Sprintf("volume %s of another owner is not there yet", volume)
		}
	}
	for _, n := range j.borrowedFor(&w.pod) {
		if !p.hasNetwork(n.name) {
			return backend.Pending, backend.ReasonCreating, fmt.Sprintf("network %s of %s is not there yet", n.short, n.lender)
		}
	}
	return backend.Pending, backend.ReasonCreating, "the pod is being created"
}

// borrowedFor are the networks of other owners that a pod joins.
func (w *wanted) borrowedFor(pod *wantedPod) []wantedNetwork {
	return slices.DeleteFunc(slices.Clone(w.borrowed), func(n wantedNetwork) bool {
		return !slices.ContainsFunc(pod.attachments, func(a attachment) bool { return a.network == n.name })
	})
}

// classify finds the reason in what Podman said; it has words only.
func classify(err error) string {
	var taken *takenError
	if errors.As(err, &taken) {
		return backend.ReasonNameTaken
	}
	text := strings.ToLower(err.Error())
	for _, known := range []struct{ words, reason string }{
		{"subnet", backend.ReasonSubnetInUse},
		{"ip address", backend.ReasonAddressInUse},
		{"requested ip", backend.ReasonAddressInUse},
		{"address already in use", backend.ReasonPortInUse},
		{"port is already", backend.ReasonPortInUse},
	} {
		if strings.Contains(text, known.words) {
			return known.reason
		}
	}
	return backend.ReasonStartFailed
}
