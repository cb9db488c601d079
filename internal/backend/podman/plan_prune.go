package podman

import (
	"slices"

	"mockup.dev/mockup/manifests"
)

// prune removes what is no longer wanted: pods first, and what they use when they are gone.
func (p *planner) prune() {
	leaving := slices.ContainsFunc(p.pods, func(pod podInfo) bool { return !p.keeps(pod) })
	for _, pod := range p.pods {
		if !p.keeps(pod) && !p.isBusy(pod.name) && p.mayTry(pod.name, "") {
			p.add(step{action: removePod, ref: pod.workload(), pod: pod})
		}
	}
	for _, v := range p.volumes {
		if p.disposable(v, leaving) && p.mayTry(v.name, "") {
			p.add(step{action: removeVolume, volume: v})
		}
	}
	for _, n := range p.seen.networks {
		if !p.keepsNetwork(n.name) && !leaving && p.mayTry(n.name, "") {
			p.add(step{action: removeNetwork, network: n})
		}
	}
}

// keeps tells whether a pod belongs to a workload of the set, whose plan it then is.
func (p *planner) keeps(pod podInfo) bool {
	if p.remove {
		return false
	}
	return slices.ContainsFunc(p.workloads, func(w wantedWorkload) bool { return w.ref == pod.workload() })
}

func (p *planner) keepsNetwork(name string) bool {
	return !p.remove && slices.ContainsFunc(p.wanted.networks, func(n wantedNetwork) bool { return n.name == name })
}

// disposable volumes carry something of a pod or Job that is gone, or fulfil a claim that is neither wanted nor retained.
func (p *planner) disposable(v volumeInfo, leaving bool) bool {
	if pod := v.labels[labelPod]; pod != "" {
		_, there := p.pod(pod)
		return !there && !p.isBusy(pod) && !p.named[pod]
	}
	if v.labels[labelResult] != "" {
		ref := manifests.Ref{Kind: "Job", Name: v.labels[manifests.LabelWorkload]}
		return p.remove || !slices.ContainsFunc(p.workloads, func(w wantedWorkload) bool { return w.ref == ref })
	}
	if kept := v.labels[labelRetains]; kept != "" {
		return !p.hasVolume(kept) || slices.ContainsFunc(p.claims, func(c wantedClaim) bool { return c.volume == kept && !c.retain })
	}
	if p.marked(v.name) || v.labels[labelClaim] == "" || v.labels[manifests.LabelReclaim] != "Delete" || leaving {
		return false
	}
	for _, c := range p.claims {
		if c.volume == v.name && (c.retain || !p.remove) {
			return false
		}
	}
	return true
}

func (p *planner) labelledDelete(volume string) bool {
	return slices.ContainsFunc(p.volumes, func(v volumeInfo) bool {
		return v.name == volume && v.labels[manifests.LabelReclaim] == "Delete"
	})
}

// marked tells whether a marker says that the volume is to be retained, whatever its own label says.
func (p *planner) marked(volume string) bool {
	return slices.ContainsFunc(p.volumes, func(v volumeInfo) bool { return v.labels[labelRetains] == volume })
}

func (p *planner) marker(c wantedClaim) volumeInfo {
	labels := ownerLabels(p.owner)
	labels[labelRetains] = c.volume
	return volumeInfo{name: podVolumeName(c.volume, "retain"), labels: labels}
}
