package memory

import (
	"fmt"
	"time"

	"mockup.dev/mockup/internal/backend"
)

// job is how far a Job has come. It outlives its pods.
type job struct {
	hash     string
	started  time.Time
	failures int32
	// next is when it may be tried again.
	next time.Time
	// phase is set at its end.
	phase    backend.Phase
	reason   string
	message  string
	exitCode *int32
	ended    time.Time
}

// defaultBackoffLimit is Kubernetes'.
const defaultBackoffLimit = 6

// runJob takes the one step towards the end of a Job that can be taken now, with content for its pods.
func (s *step) runJob(th *thing, w workload, hash string, content map[string]map[string][]byte) {
	spec, j := w.job, &th.job
	if j.hash != hash {
		for _, p := range s.tenant.podsOf(th.key.ref) {
			s.terminate(p)
		}
		*j = job{hash: hash, started: time.Now()}
	}
	if j.phase == "" {
		s.followJob(th, w)
	}
	if j.phase != "" {
		ttl := spec.TTLSecondsAfterFinished
		if ttl == nil || !s.due(s.tenant, j.ended.Add(s.lasting(time.Duration(*ttl)*time.Second))) {
			return
		}
		for _, p := range s.tenant.podsOf(th.key.ref) {
			s.terminate(p)
		}
		return
	}
	live := 0
	for _, p := range s.tenant.podsOf(th.key.ref) {
		if !p.tried {
			live++
		}
	}
	if live == 0 && s.due(s.tenant, j.next) {
		for _, p := range s.tenant.podsOf(th.key.ref) {
			s.terminate(p) // the one before; its end is counted
		}
		s.create(th, w, hash, content)
	}
}

// followJob counts ends, and ends the Job where they or its time say so.
func (s *step) followJob(th *thing, w workload) {
	j, limit := &th.job, int32(defaultBackoffLimit)
	if w.job.BackoffLimit != nil {
		limit = *w.job.BackoffLimit
	}
	for _, p := range s.tenant.podsOf(th.key.ref) {
		if p.tried || p.over == "" {
			continue
		}
		p.tried, j.exitCode = true, p.exitCode
		if p.exitCode != nil && *p.exitCode == 0 {
			j.end(backend.Succeeded, "", "")
			return
		}
		j.failures++
		j.next = time.Now().Add(s.lasting(backOff(int(j.failures))))
		s.touched = true
		if j.failures > limit {
			j.end(backend.Failed, backend.ReasonBackoffLimit, fmt.Sprintf("it failed %d times", j.failures))
			return
		}
	}
	seconds := w.job.ActiveDeadlineSeconds
	if seconds != nil && s.due(s.tenant, j.started.Add(s.lasting(time.Duration(*seconds)*time.Second))) {
		j.end(backend.Failed, backend.ReasonJobDeadline, fmt.Sprintf("it took longer than %d s", *seconds))
		for _, p := range s.tenant.podsOf(th.key.ref) {
			s.terminate(p)
		}
	}
}

func (j *job) end(phase backend.Phase, reason, message string) {
	j.phase, j.reason, j.message, j.ended = phase, reason, message, time.Now()
}

// judgeJob says what has become of a Job.
func judgeJob(state *backend.State, j *job) {
	state.Phase, state.Reason, state.Message = backend.Progressing, "Running", "the Job is running"
	if j.phase != "" {
		state.Phase, state.Reason, state.Message = j.phase, j.reason, j.message
	}
	if j.exitCode != nil {
		state.ExitCode = new(*j.exitCode)
	}
}
