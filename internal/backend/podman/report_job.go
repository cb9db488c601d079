package podman

import (
	"fmt"

	"mockup.dev/mockup/internal/backend"
)

// job judges a Job by its result, or by the try that runs.
func (j *judgement) job(w *wantedWorkload, state backend.State) backend.State {
	state.Phase, state.Reason, state.Message = backend.Pending, backend.ReasonCreating, "the pod is being created"
	p := planner{wanted: j.wanted, seen: j.seen}
	tries := p.tries(w)
	for _, t := range tries {
		state.Pods = append(state.Pods, backend.Pod{Name: t.name, Addresses: j.addresses(t)})
	}
	if r, ended := j.result(w.ref); ended {
		state.Phase, state.Reason, state.Message, state.ExitCode = backend.Failed, r.Reason, r.Message, r.ExitCode
		if r.Succeeded {
			state.Phase = backend.Succeeded
		}
		return state
	}
	if phase, reason, message := j.absent(w); phase == backend.Failed && len(tries) == 0 {
		state.Phase, state.Reason, state.Message = phase, reason, message
	}
	if len(tries) == 0 {
		return state
	}
	last := tries[len(tries)-1]
	state.Phase, state.Reason, state.Message = backend.Progressing, "Running", "the Job is running"
	if last.ended() && last.exitCode() != 0 {
		code := last.exitCode()
		state.ExitCode, state.Reason = &code, backend.ReasonExited
		state.Message = fmt.Sprintf("try %d of %d ended with exit code %d; it is tried again", len(tries), w.job.backoffLimit+1, code)
	}
	return state
}
