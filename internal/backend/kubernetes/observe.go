package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

func sortedRefs[V any](m map[manifests.Ref]V) []manifests.Ref {
	return slices.SortedFunc(maps.Keys(m), func(a, b manifests.Ref) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
}

// observe reports what the set names in its order, then what is left.
func (p *pass) observe(ctx context.Context) (backend.Observation, error) {
	seen := backend.Observation{Refused: p.refused}
	for _, object := range p.set.Objects {
		ref := manifests.RefOf(object)
		if !p.wanted[ref] {
			continue
		}
		state, err := p.state(ctx, ref)
		if err != nil {
			return backend.Observation{}, err
		}
		seen.Objects = append(seen.Objects, state)
	}
	left := map[manifests.Ref]backend.State{}
	for i := range p.pods {
		ref := p.workloadOf(&p.pods[i])
		left[ref] = backend.State{Ref: ref, Phase: backend.Terminating}
	}
	for ref, o := range p.live {
		left[ref] = backend.State{Ref: ref, Phase: backend.Terminating}
		if isRetained(o) && !goingAway(o) {
			left[ref] = backend.State{Ref: ref, Phase: backend.Ready, Reason: backend.ReasonRetained, Message: "stays until somebody removes it"}
		}
	}
	for _, ref := range sortedRefs(left) {
		if !p.wanted[ref] {
			state := left[ref]
			addPods(&state, p.podsOf(ref))
			seen.Objects = append(seen.Objects, state)
		}
	}
	return seen, nil
}

func (p *pass) podsOf(workload manifests.Ref) []corev1.Pod {
	if !isWorkload(workload.Kind) {
		return nil
	}
	var pods []corev1.Pod
	for i := range p.pods {
		if p.workloadOf(&p.pods[i]) == workload {
			pods = append(pods, p.pods[i])
		}
	}
	return pods
}

// state of an object that the set names.
func (p *pass) state(ctx context.Context, ref manifests.Ref) (backend.State, error) {
	state, settled := p.settled[ref]
	live := p.live[ref]
	if !settled && live != nil {
		state = backend.State{Ref: ref, Phase: backend.Ready}
		if err := judge(&state, live); err != nil {
			return state, err
		}
	}
	pods := p.podsOf(ref)
	addPods(&state, pods)
	if !settled && state.Phase != backend.Ready && state.Phase != backend.Succeeded {
		explain(&state, pods)
		if len(pods) > 0 && state.Message == "" {
			if err := p.explainMissing(ctx, &state, pods); err != nil {
				return state, err
			}
		}
		explainStart(&state, pods)
	}
	return state, nil
}

// judge sets the phase from the object's own status, in the manner of kstatus.
func judge(state *backend.State, live *unstructured.Unstructured) error {
	var err error
	switch live.GetKind() {
	case "Deployment":
		var d appsv1.Deployment
		if err = as(live, &d); err == nil {
			judgeDeployment(state, &d)
		}
	case "DaemonSet":
		var d appsv1.DaemonSet
		if err = as(live, &d); err == nil {
			judgeDaemonSet(state, &d)
		}
	case "Job":
		var j batchv1.Job
		if err = as(live, &j); err == nil {
			judgeJob(state, &j)
		}
	case "PersistentVolumeClaim":
		var c corev1.PersistentVolumeClaim
		if err = as(live, &c); err == nil {
			judgeClaim(state, &c)
		}
	}
	return err
}

func as(o *unstructured.Unstructured, typed any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, typed); err != nil {
		return fmt.Errorf("reading %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

func judgeDeployment(state *backend.State, d *appsv1.Deployment) {
	state.Desired, state.Image = 1, d.Spec.Template.Spec.Containers[0].Image
	if d.Spec.Replicas != nil {
		state.Desired = *d.Spec.Replicas
	}
	state.Ready, state.Updated = d.Status.ReadyReplicas, d.Status.UpdatedReplicas
	if d.Status.ObservedGeneration < d.Generation {
		state.Phase, state.Updated = backend.Progressing, 0 // what it counts as updated is so no more
		return
	}
	rolledOut := false
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" ||
			c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			state.Phase, state.Reason, state.Message = backend.Failed, c.Reason, c.Message
			return
		}
		rolledOut = rolledOut || c.Type == appsv1.DeploymentProgressing && c.Reason == "NewReplicaSetAvailable"
	}
	switch {
	case d.Status.UpdatedReplicas < state.Desired || d.Status.Replicas > d.Status.UpdatedReplicas:
		state.Phase = backend.Progressing
	case d.Status.AvailableReplicas >= state.Desired:
		state.Phase = backend.Ready
	case rolledOut:
		state.Phase = backend.NotReady
	default:
		state.Phase = backend.Progressing
	}
}

func judgeDaemonSet(state *backend.State, d *appsv1.DaemonSet) {
	state.Desired, state.Image = d.Status.DesiredNumberScheduled, d.Spec.Template.Spec.Containers[0].Image
	state.Ready, state.Updated = d.Status.NumberReady, d.Status.UpdatedNumberScheduled
	if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedNumberScheduled < state.Desired ||
		d.Status.NumberAvailable < state.Desired {
		state.Phase = backend.Progressing
	}
}

func judgeJob(state *backend.State, j *batchv1.Job) {
	state.Desired, state.Image = 1, j.Spec.Template.Spec.Containers[0].Image
	state.Phase = backend.Progressing
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			state.Phase, state.Reason, state.Message = backend.Succeeded, "", ""
		case batchv1.JobFailed:
			state.Phase, state.Reason, state.Message = backend.Failed, c.Reason, c.Message
		}
	}
}

func judgeClaim(state *backend.State, c *corev1.PersistentVolumeClaim) {
	switch c.Status.Phase {
	case corev1.ClaimBound:
	case corev1.ClaimLost:
		state.Phase, state.Reason, state.Message = backend.Failed, string(corev1.ClaimLost), "the volume of the claim is gone"
	default:
		state.Phase, state.Reason, state.Message = backend.Pending, string(corev1.ClaimPending), "no volume is bound to the claim yet"
	}
}

// explainMissing names what the pods mount and is not there; kubelet says so only in events.
func (p *pass) explainMissing(ctx context.Context, state *backend.State, pods []corev1.Pod) error {
	for _, ref := range mounted(&pods[0]) {
		resource, _, _ := resourceOf(ref.Kind)
		_, err := p.metadata.Resource(resource).Namespace(p.set.Owner.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			state.Reason, state.Message = backend.ReasonMissing, fmt.Sprintf("%s is not there", ref)
			return nil
		case err != nil:
			return fmt.Errorf("looking for %s: %w", ref, err)
		}
	}
	return nil
}

// mounted are the objects without which a pod can't start.
func mounted(pod *corev1.Pod) []manifests.Ref {
	var refs []manifests.Ref
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.ConfigMap != nil && (v.ConfigMap.Optional == nil || !*v.ConfigMap.Optional):
			refs = append(refs, manifests.Ref{Kind: "ConfigMap", Name: v.ConfigMap.Name})
		case v.Secret != nil && (v.Secret.Optional == nil || !*v.Secret.Optional):
			refs = append(refs, manifests.Ref{Kind: "Secret", Name: v.Secret.SecretName})
		case v.PersistentVolumeClaim != nil:
			refs = append(refs, manifests.Ref{Kind: "PersistentVolumeClaim", Name: v.PersistentVolumeClaim.ClaimName})
		}
	}
	return refs
}
