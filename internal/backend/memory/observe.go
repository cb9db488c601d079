package memory

import (
	"fmt"
	"maps"

	batchv1 "k8s.io/api/batch/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

func copyOf(m map[string]string) map[string]string { return maps.Clone(m) }

// observe reports everything of the tenant: first what the set names, in its order, then what is left.
func (s *step) observe() backend.Observation {
	var o backend.Observation
	named := map[manifests.Ref]bool{}
	if !s.set.Remove {
		for _, object := range s.set.Objects {
			ref := manifests.RefOf(object)
			named[ref] = true
			o.Objects = append(o.Objects, s.state(ref))
			if s.refuse != nil {
				o.Refused = append(o.Refused, s.refuse(object)...)
			}
		}
	}
	for _, ref := range sortedRefs(s.tenant.things) {
		if !named[ref] {
			o.Objects = append(o.Objects, s.leftover(s.tenant.things[ref]))
		}
	}
	return o
}

// leftover is the state of a thing that the set does not name.
func (s *step) leftover(th *thing) backend.State {
	state := backend.State{Ref: th.key.ref, Phase: backend.Terminating}
	if retained(th) {
		state.Phase, state.Reason = backend.Ready, backend.ReasonRetained
		state.Message = "stays until somebody removes it"
	}
	s.addPods(&state, th)
	return state
}

func (s *step) state(ref manifests.Ref) backend.State {
	th := s.tenant.things[ref]
	if bad, is := s.stuck[ref]; is && th == nil {
		return backend.State{Ref: ref, Phase: backend.Failed, Reason: bad.reason, Message: bad.message}
	}
	state := backend.State{Ref: ref, Phase: backend.Ready}
	if w, ok := workloadOf(th.object); ok {
		state.Desired, state.Image = w.replicas, w.template.Spec.Containers[0].Image
		s.addPods(&state, th)
		s.judge(&state, th, w)
	}
	return state
}

func (s *step) addPods(state *backend.State, th *thing) {
	for _, p := range s.tenant.podsOf(th.key.ref) {
		state.Restarts += p.restarts
		if p.exitCode != nil {
			state.ExitCode = new(*p.exitCode)
		}
		if p.ready {
			state.Ready++
		}
		if !p.terminating {
			state.Pods = append(state.Pods, backend.Pod{Name: p.name, Ready: p.ready, Addresses: copyOf(p.addresses)})
		}
	}
}

// judge sets the phase of a workload from its pods.
func (s *step) judge(state *backend.State, th *thing, w workload) {
	pods, hash := s.tenant.podsOf(th.key.ref), w.hash()
	if bad, is := s.stuck[th.key.ref]; is {
		state.Phase, state.Reason, state.Message = backend.Failed, bad.reason, bad.message
		return
	}
	if _, job := th.object.(*batchv1.Job); job && state.ExitCode != nil && len(pods) == 1 {
		state.Phase = backend.Succeeded
		if *state.ExitCode != 0 {
			state.Phase, state.Reason = backend.Failed, backend.ReasonExited
		}
		return
	}
	switch {
	case readyOf(pods, hash) >= w.replicas && int(w.replicas) == len(pods):
		state.Phase = backend.Ready
	case state.ExitCode != nil:
		state.Phase, state.Reason = backend.NotReady, backend.ReasonExited
		state.Message = fmt.Sprintf("the program ended with %d", *state.ExitCode)
	case th.wasReady == hash:
		state.Phase, state.Reason = backend.NotReady, backend.ReasonUnready
	case len(pods) == 0:
		state.Phase, state.Reason = backend.Pending, backend.ReasonCreating
	default:
		state.Phase, state.Reason = backend.Progressing, backend.ReasonStarting
	}
}
