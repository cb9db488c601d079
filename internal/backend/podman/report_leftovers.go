package podman

import (
	"slices"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// leftovers reports what is live and not wanted: on its way out, or retained.
func (j *judgement) leftovers() {
	p := planner{wanted: j.wanted, seen: j.seen}
	for _, pod := range j.pods {
		if !p.keeps(pod) {
			j.leaving(pod)
		}
	}
	for _, n := range j.seen.networks {
		if !p.keepsNetwork(n.name) {
			j.add(backend.State{Ref: manifests.Ref{Kind: "NetworkPolicy", Name: n.labels[labelNetwork]}, Phase: backend.Terminating})
		}
	}
	j.litter(&p)
	for _, v := range j.volumes {
		claim := v.labels[labelClaim]
		if claim == "" || !j.remove && slices.ContainsFunc(j.claims, func(c wantedClaim) bool { return c.volume == v.name }) {
			continue
		}
		ref := manifests.Ref{Kind: "PersistentVolumeClaim", Name: claim}
		if p.disposable(v, false) {
			j.add(backend.State{Ref: ref, Phase: backend.Terminating})
		} else {
			j.add(backend.State{Ref: ref, Phase: backend.Ready, Reason: backend.ReasonRetained, Message: "volume " + v.name + " is retained"})
		}
	}
}

// litter reports what pods leave behind when everything is to go, copies of Secrets among it: whoever takes the last look
// takes it when that is gone, too.
func (j *judgement) litter(p *planner) {
	for _, v := range j.volumes {
		if !j.remove || v.labels[labelClaim] != "" || !p.disposable(v, false) {
			continue
		}
		state := backend.State{Ref: manifests.Ref{Kind: "Volume", Name: v.name}, Phase: backend.Terminating}
		if pod := v.labels[labelPod]; pod != "" {
			state.Ref = manifests.Ref{Kind: "Pod", Name: pod}
		}
		if err := j.failures[v.name].err; err != nil {
			state.Message = err.Error()
		}
		if !slices.ContainsFunc(j.objects, func(s backend.State) bool { return s.Ref == state.Ref }) {
			j.add(state)
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
	if err := j.failures[pod.name].err; err != nil {
		state.Message = err.Error()
	}
	j.add(state)
}
