package podman

import (
	"fmt"
	"time"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// progress of a roll-out: what it looked like when that changed last, and when that was.
type progress struct {
	form  string
	since time.Time
}

// advance notes which roll-outs have moved since the last pass.
func advance(before map[manifests.Ref]progress, w *wanted, s *seen) map[manifests.Ref]progress {
	after := map[manifests.Ref]progress{}
	p := planner{wanted: *w, seen: *s}
	for i := range w.workloads {
		workload := &w.workloads[i]
		if workload.broken != nil || workload.job != nil {
			continue
		}
		c := p.crew(workload)
		form := fmt.Sprintf("%s %d %d/%d %d", workload.pod.hash, workload.replicas, available(c.fresh), len(c.fresh), len(c.old))
		now := progress{form: form, since: s.now}
		if old, ok := before[workload.ref]; ok && old.form == form {
			now.since = old.since
		}
		after[workload.ref] = now
	}
	return after
}

// nextDeadline is when the first roll-out that goes on will have made no progress for too long; none after now is the zero
// time.
func nextDeadline(o backend.Observation, w *wanted, p map[manifests.Ref]progress, now time.Time) time.Time {
	var next time.Time
	for i := range w.workloads {
		ref, limit := w.workloads[i].ref, w.workloads[i].rollout.deadline
		state, _ := o.Find(ref)
		if at := p[ref].since.Add(limit); limit > 0 && state.Phase == backend.Progressing && at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}
