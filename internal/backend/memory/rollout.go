package memory

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// rollOut is how pods are replaced, in the terms of a Deployment.
type rollOut struct {
	recreate           bool
	surge, unavailable int32
	minReady, deadline time.Duration
}

// defaultDeadline is Kubernetes' default of progressDeadlineSeconds.
const defaultDeadline = 600 * time.Second

func rollOutOf(spec *appsv1.DeploymentSpec, replicas int32) rollOut {
	r := rollOut{
		recreate: spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType,
		minReady: time.Duration(spec.MinReadySeconds) * time.Second,
		deadline: defaultDeadline,
	}
	if s := spec.ProgressDeadlineSeconds; s != nil {
		r.deadline = time.Duration(*s) * time.Second
	}
	surge, unavailable := intstr.FromString("25%"), intstr.FromString("25%")
	if u := spec.Strategy.RollingUpdate; u != nil && u.MaxSurge != nil {
		surge = *u.MaxSurge
	}
	if u := spec.Strategy.RollingUpdate; u != nil && u.MaxUnavailable != nil {
		unavailable = *u.MaxUnavailable
	}
	more, _ := intstr.GetScaledValueFromIntOrPercent(&surge, int(replicas), true) // the API server lets no others through
	fewer, _ := intstr.GetScaledValueFromIntOrPercent(&unavailable, int(replicas), false)
	if r.surge, r.unavailable = int32(more), int32(fewer); more == 0 && fewer == 0 {
		r.unavailable = 1 // nothing could ever change
	}
	return r
}

// single is why two pods of a template can't be at once; empty when they can.
func (s *step) single(spec *corev1.PodSpec) string {
	for _, c := range spec.Containers {
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				return fmt.Sprintf("two pods can't hold host port %d", p.HostPort)
			}
		}
		for _, m := range c.VolumeMounts {
			for _, v := range spec.Volumes {
				claim := v.PersistentVolumeClaim
				if v.Name == m.Name && claim != nil && !m.ReadOnly && !claim.ReadOnly && !s.shared(claim.ClaimName) {
					return "two pods can't write to claim " + claim.ClaimName
				}
			}
		}
	}
	return ""
}

// shared claims have room for many writers.
func (s *step) shared(claim string) bool {
	th := s.tenant.things[manifests.Ref{Kind: "PersistentVolumeClaim", Name: claim}]
	if th == nil {
		return false
	}
	c, is := th.object.(*corev1.PersistentVolumeClaim)
	return is && slices.Contains(c.Spec.AccessModes, corev1.ReadWriteMany)
}

// refuseStrategy says where a roll-out can't be as wanted.
func (s *step) refuseStrategy(object manifests.Object) []backend.Refusal {
	d, is := object.(*appsv1.Deployment)
	if !is || d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return nil
	}
	why := s.single(&d.Spec.Template.Spec)
	if why == "" {
		return nil
	}
	return []backend.Refusal{{Ref: manifests.RefOf(object), Path: "spec.strategy", Reason: why + ": all old ones go first"}}
}

type plan struct {
	create int32
	retire []*pod
}

// planRollOut decides in the manner of the Deployment controller (pkg/controller/deployment/rolling.go); with recreate, all
// old pods go first.
func planRollOut(pods []*pod, hash string, w workload, available func(*pod) bool) plan {
	var current, old []*pod
	var terminating, availables, currentLame int32
	for _, p := range pods {
		switch {
		case p.terminating:
			terminating++
			continue
		case p.hash == hash:
			current = append(current, p)
		default:
			old = append(old, p)
		}
		if available(p) {
			availables++
		} else if p.hash == hash {
			currentLame++
		}
	}
	if w.rollOut.recreate {
		if len(old) > 0 || terminating > 0 && len(current) == 0 {
			return plan{retire: old}
		}
		return plan{create: max(0, w.replicas-int32(len(current))), retire: excess(current, w.replicas)}
	}
	all, least := int32(len(current)+len(old)), w.replicas-w.rollOut.unavailable
	result := plan{
		create: max(0, min(w.replicas-int32(len(current)), w.replicas+w.rollOut.surge-all)),
		retire: excess(current, w.replicas),
	}
	lame, spare := all-least-currentLame, availables-least
	for _, p := range old {
		switch {
		case !available(p) && lame > 0:
			lame--
			result.retire = append(result.retire, p)
		case available(p) && spare > 0 && lame > 0:
			lame--
			spare--
			result.retire = append(result.retire, p)
		}
	}
	return result
}

// excess of the pods over those wanted; the ready ones stay.
func excess(current []*pod, replicas int32) []*pod {
	slices.SortStableFunc(current, func(a, b *pod) int { return boolInt(b.ready) - boolInt(a.ready) })
	return current[min(int(replicas), len(current)):]
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// available pods have been ready for as long as their workload asks.
func (s *step) available(p *pod, w workload) bool {
	return p.ready && s.due(s.tenant, p.readySince.Add(s.lasting(w.rollOut.minReady)))
}

// progress of a roll-out, as it was when it last got further.
type progress struct {
	hash                           string
	updated, ready, available, old int32
	at                             time.Time
}

// count the pods of a workload that stay.
func (s *step) count(th *thing, w workload, hash string) progress {
	n := progress{hash: hash}
	for _, p := range s.tenant.podsOf(th.key.ref) {
		if p.terminating || p.hash != hash {
			n.old++
			continue
		}
		n.updated++
		n.ready += int32(boolInt(p.ready))
		n.available += int32(boolInt(s.available(p, w)))
	}
	return n
}

// follow notes how far a roll-out has come.
func (s *step) follow(th *thing, w workload, hash string) {
	last, now := &th.progress, s.count(th, w, hash)
	further := now.hash != last.hash || now.updated > last.updated || now.ready > last.ready ||
		now.available > last.available || now.old < last.old
	if now.at = last.at; further {
		now.at = time.Now()
	}
	th.progress = now
	if now.available >= w.replicas && now.old == 0 && now.updated == w.replicas {
		th.wasReady = hash
	}
	if th.wasReady != hash && w.rollOut.deadline > 0 {
		s.due(s.tenant, now.at.Add(s.lasting(w.rollOut.deadline)))
	}
}
