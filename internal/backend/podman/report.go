package podman

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// knowledge is what a judgement needs beside what is wanted and seen.
type knowledge struct {
	failures map[string]error
	images   map[string]problem
	// message says of a pod why it is not ready.
	message func(podInfo) string
	// addresses of a pod by the networks' names in the specification.
	addresses func(podInfo) map[string]string
	// served says of a workload whether it was ready before.
	served func(manifests.Ref) bool
}

// report judges what was seen, and remembers which workloads serve.
func (b *Backend) report(w wanted, s seen) backend.Observation {
	for _, p := range s.pods {
		s.ready[p.id] = b.prober.ready(p)
	}
	short := map[string]string{}
	for _, n := range w.networks {
		short[n.name] = n.short
	}
	key := func(r manifests.Ref) string { return w.owner.String() + "/" + r.String() }
	o := judge(w, s, knowledge{
		failures: b.tasks.failures(),
		images:   b.images.problems(),
		message:  func(p podInfo) string { _, m := b.prober.state(p); return m },
		addresses: func(p podInfo) map[string]string {
			out := map[string]string{}
			for name, e := range b.endpointsOf(p) {
				out[short[name]] = e.addr.String()
			}
			return out
		},
		served: func(r manifests.Ref) bool { return b.wasServing(key(r)) },
	})
	for _, state := range o.Objects {
		b.noteServing(key(state.Ref), state.Phase == backend.Ready || state.Phase == backend.NotReady)
	}
	return o
}

func (b *Backend) wasServing(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.served[key]
}

func (b *Backend) noteServing(key string, serves bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if serves {
		b.served[key] = true
	} else {
		delete(b.served, key)
	}
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
		for _, workload := range w.workloads {
			j.add(j.workload(workload))
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
	if err := j.failures[n.name]; err != nil {
		state.Phase, state.Reason, state.Message = backend.Failed, classify(err), err.Error()
	}
	i := slices.IndexFunc(j.seen.networks, func(s networkInfo) bool { return s.name == n.name })
	if i < 0 {
		return state
	}
	there := j.seen.networks[i]
	if there.subnet != n.subnet || there.internal != n.internal {
		return backend.State{Ref: n.ref, Phase: backend.Failed, Reason: backend.ReasonImmutable,
			Message: fmt.Sprintf("network %s is there with subnet %s, internal %t; wanted are %s, %t: a network can't be changed, only made anew under another name", n.name, there.subnet, there.internal, n.subnet, n.internal)}
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
	if err := j.failures[c.volume]; err != nil {
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

// workload gathers the state of its pods; the first pod that is not ready gives the reason.
func (j *judgement) workload(w wantedWorkload) backend.State {
	if w.broken != nil {
		return backend.State{Ref: w.ref, Phase: backend.Failed, Reason: backend.ReasonMissing, Message: w.broken.Error()}
	}
	state := backend.State{Ref: w.ref, Phase: backend.Ready, Desired: int32(len(w.pods))}
	for _, want := range w.pods {
		phase, reason, message := j.pod(w, want, &state)
		if phase == backend.Succeeded {
			state.Phase = phase
		} else if phase == backend.Ready {
			state.Ready++
		} else if state.Phase == backend.Ready || phase == backend.Failed && state.Phase != backend.Failed {
			state.Phase, state.Reason, state.Message = phase, reason, message
		}
	}
	if state.Phase == backend.Progressing && j.served(w.ref) {
		state.Phase = backend.NotReady
	}
	return state
}

// pod judges one pod and adds what it shows of it to the state of its workload.
func (j *judgement) pod(w wantedWorkload, want wantedPod, state *backend.State) (backend.Phase, string, string) {
	i := slices.IndexFunc(j.pods, func(p podInfo) bool { return p.name == want.name })
	err := j.failures[want.name]
	if i < 0 {
		return j.absent(want, err)
	}
	pod := j.pods[i]
	answers := j.ready[pod.id]
	ready := answers && want.named(j.endpoints[pod.id])
	state.Pods = append(state.Pods, backend.Pod{Name: pod.name, Ready: ready, Addresses: j.addresses(pod)})
	for _, c := range pod.containers {
		state.Restarts += c.restarts
		if manifestName(pod.name, c.name) == w.main {
			state.Image = c.image
			if c.stopped() {
				code := c.exitCode
				state.ExitCode = &code
			}
		}
	}
	switch {
	case pod.labels[labelHash] != want.hash:
		phase, reason, message := j.absent(want, err)
		if phase == backend.Pending {
			phase, reason = backend.Progressing, "Updating"
		}
		return phase, reason, message
	case err != nil:
		return backend.Failed, classify(err), err.Error()
	case w.once:
		return jobPhase(w, state.ExitCode)
	case ready:
		return backend.Ready, "", ""
	case state.ExitCode != nil && *state.ExitCode != 0:
		return backend.Progressing, backend.ReasonExited, fmt.Sprintf("container %s ended with exit code %d", w.main, *state.ExitCode)
	}
	if answers {
		return backend.Progressing, backend.ReasonStarting, "the pod is ready and being given its Service names"
	}
	if message := j.message(pod); message != "" {
		return backend.Progressing, backend.ReasonUnready, message
	}
	return backend.Progressing, backend.ReasonStarting, "the pod is starting"
}

// jobPhase is that of a pod that runs once.
func jobPhase(w wantedWorkload, exitCode *int32) (backend.Phase, string, string) {
	switch {
	case exitCode == nil:
		return backend.Progressing, "Running", "the Job is running"
	case *exitCode == 0:
		return backend.Succeeded, "", ""
	}
	return backend.Failed, backend.ReasonExited, fmt.Sprintf("container %s ended with exit code %d", w.main, *exitCode)
}

// absent says why a pod is not there as wanted yet.
func (j *judgement) absent(want wantedPod, err error) (backend.Phase, string, string) {
	if err != nil {
		return backend.Failed, classify(err), err.Error()
	}
	for _, image := range want.images {
		if p, ok := j.knowledge.images[image.ref]; ok {
			if p.reason == backend.ReasonImagePull {
				return backend.Failed, p.reason, p.message
			}
			return backend.Pending, p.reason, p.message
		}
	}
	return backend.Pending, backend.ReasonCreating, "the pod is being created"
}

// leftovers reports what is live and not wanted: on its way out, or retained.
func (j *judgement) leftovers() {
	p := planner{wanted: j.wanted, seen: j.seen}
	keep := p.keep()
	for _, pod := range j.pods {
		if !keep[pod.name] {
			j.leaving(pod)
		}
	}
	for _, n := range j.seen.networks {
		if !keep[n.name] {
			j.add(backend.State{Ref: manifests.Ref{Kind: "NetworkPolicy", Name: n.labels[labelNetwork]}, Phase: backend.Terminating})
		}
	}
	for _, v := range j.volumes {
		claim := v.labels[labelClaim]
		if claim == "" || !j.remove && slices.ContainsFunc(j.claims, func(c wantedClaim) bool { return c.volume == v.name }) {
			continue
		}
		ref := manifests.Ref{Kind: "PersistentVolumeClaim", Name: claim}
		if p.disposable(v, keep, false) {
			j.add(backend.State{Ref: ref, Phase: backend.Terminating})
		} else {
			j.add(backend.State{Ref: ref, Phase: backend.Ready, Reason: backend.ReasonRetained, Message: "volume " + v.name + " is retained"})
		}
	}
}

// leaving reports a pod on its way out under its workload, unless that has a state because others of its pods stay.
func (j *judgement) leaving(pod podInfo) {
	ref := pod.workload()
	if slices.ContainsFunc(j.objects, func(s backend.State) bool { return s.Ref == ref }) {
		return
	}
	state := backend.State{Ref: ref, Phase: backend.Terminating}
	if err := j.failures[pod.name]; err != nil {
		state.Message = err.Error()
	}
	j.add(state)
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
