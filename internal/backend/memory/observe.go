package memory

import (
	"fmt"
	"maps"
	"time"

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
			o.Refused = append(o.Refused, s.refuseStrategy(object)...)
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
		if p.terminating {
			state.Passing++
		} else {
			state.Pods = append(state.Pods, backend.Pod{Name: p.name, Ready: p.ready, Addresses: copyOf(p.addresses)})
		}
	}
}

// judge sets the phase of a workload from its pods.
func (s *step) judge(state *backend.State, th *thing, w workload) {
	hash := w.hash()
	n := s.count(th, w, hash)
	state.Updated = n.updated
	if bad, is := s.stuck[th.key.ref]; is {
		state.Phase, state.Reason, state.Message = backend.Failed, bad.reason, bad.message
		return
	}
	if w.job != nil {
		judgeJob(state, &th.job)
		return
	}
	done := n.available >= w.replicas && n.updated == w.replicas && n.old == 0
	deadline := th.progress.at.Add(s.lasting(w.rollOut.deadline))
	switch {
	case done:
		state.Phase, state.Reason, state.Message = backend.Ready, "", ""
		if th.reload != "" {
			state.Reason, state.Message = backend.ReasonReload, th.reload
		}
	case th.wasReady != hash && w.rollOut.deadline > 0 && !time.Now().Before(deadline):
		state.Phase, state.Reason = backend.Failed, backend.ReasonDeadline
		state.Message = fmt.Sprintf("no progress within %s", w.rollOut.deadline)
	case s.explain(state, th):
	case th.wasReady == hash:
		state.Phase, state.Reason = backend.NotReady, backend.ReasonUnready
	case n.updated+n.old == 0:
		state.Phase, state.Reason = backend.Pending, backend.ReasonCreating
	case n.old > 0:
		state.Phase, state.Reason = backend.Progressing, backend.ReasonRollingOut
	default:
		state.Phase, state.Reason = backend.Progressing, backend.ReasonStarting
	}
}

// explain names a container that has ended.
func (s *step) explain(state *backend.State, th *thing) bool {
	for _, p := range s.tenant.podsOf(th.key.ref) {
		if p.over == "" || p.terminating {
			continue
		}
		state.Phase, state.Reason = backend.NotReady, backend.ReasonExited
		state.Message = fmt.Sprintf("container %s of pod %s has ended", p.over, p.name)
		if p.heldBack() {
			state.Reason = backend.ReasonCrashLoop
		}
		return true
	}
	return false
}
