package podman

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// Back-off between the tries of a Job (pkg/controller/job/backoff_utils.go).
const (
	firstJobWait = 10 * time.Second
	maxJobWait   = 10 * time.Minute
)

// result is how a Job ended, kept as a label of an empty volume that outlives its pods, so that it is never run again.
type result struct {
	Succeeded bool      `json:"succeeded"`
	Reason    string    `json:"reason,omitempty"`
	Message   string    `json:"message,omitempty"`
	ExitCode  *int32    `json:"exitCode,omitempty"`
	Finished  time.Time `json:"finished"`
	// Hash is that of its pods.
	Hash string `json:"hash"`
}

// tries of a Job, oldest first. What was not even started does not count.
func (p *planner) tries(w *wantedWorkload) []podInfo {
	var out []podInfo
	for _, pod := range p.pods {
		switch busy, isBusy := p.busy[pod.name]; {
		case pod.workload() != w.ref || busy.action == removePod:
		case pod.halfMade() && !isBusy:
			p.retire(w, member{pod: pod, name: pod.name})
		default:
			out = append(out, pod)
		}
	}
	slices.SortFunc(out, func(a, b podInfo) int { return cmp.Compare(ordinal(a.name), ordinal(b.name)) })
	return out
}

// job plans the next try of a Job, its end, or the removal of what it left.
func (p *planner) job(w *wantedWorkload) {
	tries := p.tries(w)
	if r, ended := p.result(w.ref); ended {
		p.expire(w, r, tries)
		return
	}
	if slices.ContainsFunc(tries, func(t podInfo) bool { _, busy := p.busy[t.name]; return busy }) || p.coming(w.ref) {
		return
	}
	if r := p.verdict(w, tries); r != nil {
		p.add(step{action: createVolume, ref: w.ref, volume: p.resultMarker(w, *r)})
		return
	}
	if n := len(tries); n > 0 && !tries[n-1].ended() {
		return
	}
	if at := jobRetryAt(tries); p.now.Before(at) {
		p.due(at)
		return
	}
	p.grow(w, 1)
}

// coming tells whether a pod of the workload is being played.
func (p *planner) coming(ref manifests.Ref) bool {
	for _, busy := range p.busy {
		if busy.ref == ref && busy.action == playPod {
			return true
		}
	}
	return false
}

// verdict is how a Job ended, nil while it goes on.
func (p *planner) verdict(w *wantedWorkload, tries []podInfo) *result {
	failed := 0
	r := &result{Finished: p.now, Hash: w.pod.hash}
	for _, t := range tries {
		if !t.ended() {
			continue
		}
		code := t.exitCode()
		r.ExitCode = &code
		if code == 0 {
			r.Succeeded = true
			return r
		}
		failed++
	}
	if failed > w.job.backoffLimit {
		r.Reason, r.Message = backend.ReasonBackoffLimit, fmt.Sprintf("%d tries have failed, the last with exit code %d", failed, *r.ExitCode)
		return r
	}
	if w.job.deadline > 0 && len(tries) > 0 {
		if end := tries[0].created.Add(w.job.deadline); p.now.Before(end) {
			p.due(end)
		} else {
			r.Reason, r.Message = backend.ReasonJobDeadline, fmt.Sprintf("it did not succeed within %s", w.job.deadline)
			return r
		}
	}
	return nil
}

// expire ends the pods of a Job that has ended, when they have been kept for as long as it asks; one that still runs,
// beyond the deadline, at once.
func (p *planner) expire(w *wantedWorkload, r result, tries []podInfo) {
	over := false
	if w.job.ttl >= 0 {
		at := r.Finished.Add(w.job.ttl)
		over = !p.now.Before(at)
		p.due(at)
	}
	for _, t := range tries {
		if over || !t.ended() {
			p.retire(w, member{pod: t, name: t.name, busy: p.isBusy(t.name)})
		}
	}
}

func (p *planner) isBusy(name string) bool { _, busy := p.busy[name]; return busy }

// result of a Job that has ended.
func (s *seen) result(ref manifests.Ref) (result, bool) {
	for _, v := range s.volumes {
		text := v.labels[labelResult]
		if text == "" || v.labels[manifests.LabelWorkload] != ref.Name {
			continue
		}
		var r result
		if err := json.Unmarshal([]byte(text), &r); err == nil {
			return r, true
		}
	}
	return result{}, false
}

func (p *planner) resultMarker(w *wantedWorkload, r result) volumeInfo {
	text, _ := json.Marshal(r) // always has a JSON form
	labels := ownerLabels(p.owner)
	labels[labelResult], labels[manifests.LabelWorkload] = string(text), w.ref.Name
	return volumeInfo{name: podVolumeName(podName(p.owner.Namespace, w.ref.Name, 0), "result"), labels: labels}
}

// jobRetryAt is when the next try may begin.
func jobRetryAt(tries []podInfo) time.Time {
	if len(tries) == 0 {
		return time.Time{}
	}
	last := tries[len(tries)-1]
	return last.exited().Add(min(firstJobWait<<min(len(tries)-1, 10), maxJobWait))
}

// ended tells whether every container of a pod that runs once has.
func (p podInfo) ended() bool {
	return len(p.containers) > 0 && !slices.ContainsFunc(p.containers, func(c containerInfo) bool { return c.state != "exited" && c.state != "stopped" })
}

// exitCode is the first that is not 0.
func (p podInfo) exitCode() int32 {
	for _, c := range p.containers {
		if c.exitCode != 0 {
			return c.exitCode
		}
	}
	return 0
}

func (p podInfo) exited() time.Time {
	var last time.Time
	for _, c := range p.containers {
		if c.exited.After(last) {
			last = c.exited
		}
	}
	return last
}
