package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// pass is one Apply: what there is, and what has become of what is wanted.
type pass struct {
	*Backend
	set  manifests.Set
	live map[manifests.Ref]*unstructured.Unstructured
	pods []corev1.Pod
	// settled are the states of objects that are not judged by what they are: taken, refused by the server, on their way
	// out before they can come again.
	settled map[manifests.Ref]backend.State
	wanted  map[manifests.Ref]bool
	refused []backend.Refusal
}

// applied is what was wanted and what came of it.
type applied struct{ wanted, live string }

// look lists all that the owner has.
func (b *Backend) look(ctx context.Context, set manifests.Set) (*pass, error) {
	p := &pass{
		Backend: b, set: set, live: map[manifests.Ref]*unstructured.Unstructured{},
		settled: map[manifests.Ref]backend.State{}, wanted: map[manifests.Ref]bool{},
	}
	owned := metav1.ListOptions{LabelSelector: manifests.LabelOwner + "=" + set.Owner.String()}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, k := range kinds {
		group.Go(func() error {
			list, err := b.objects.Resource(k.resource).Namespace(set.Owner.Namespace).List(ctx, owned)
			if err != nil {
				return fmt.Errorf("listing %s: %w", k.resource.Resource, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range list.Items {
				o := &list.Items[i]
				o.SetKind(k.kind) // items of a list may come without
				p.live[manifests.Ref{Kind: k.kind, Name: o.GetName()}] = o
			}
			return nil
		})
	}
	group.Go(func() error {
		list, err := b.cluster.CoreV1().Pods(set.Owner.Namespace).List(ctx, owned)
		if err != nil {
			return fmt.Errorf("listing pods: %w", err)
		}
		p.pods = list.Items
		return nil
	})
	return p, group.Wait()
}

// apply takes one object to what is wanted. What the server refuses for good is a state; an error is worth another try.
func (p *pass) apply(ctx context.Context, object manifests.Object) error {
	ref := manifests.RefOf(object)
	resource, _, known := resourceOf(ref.Kind)
	if !known {
		p.refused = append(p.refused, backend.Refusal{Ref: ref, Path: "kind", Reason: "sets hold no " + ref.Kind})
		return nil
	}
	want, refused, err := desired(object, p.set.Owner)
	if err != nil {
		return err
	}
	if p.set.Remove && (!isRetained(want) || p.live[ref] == nil) {
		return nil // a removal only says which claims are retained
	}
	p.wanted[ref] = !p.set.Remove
	p.refused = append(p.refused, refused...)
	if _, adopts := want.GetAnnotations()[manifests.AnnotationExisting]; adopts {
		p.fail(ref, backend.ReasonMissing, "the volume to adopt is one of Podman: an empty one in its place would look like lost data")
		return nil
	}
	live, err := p.holder(ctx, resource, ref)
	if err != nil || p.settled[ref].Reason != "" {
		return err
	}
	if live == nil || !p.isUnchanged(want, live) {
		live, err = p.write(ctx, resource, want, live)
	}
	switch {
	case err == nil:
		p.live[ref] = live
	case isFinal(err):
		p.fail(ref, string(apierrors.ReasonForError(err)), err.Error())
	default:
		return err
	}
	return nil
}

func (p *pass) fail(ref manifests.Ref, reason, message string) {
	p.settled[ref] = backend.State{Ref: ref, Phase: backend.Failed, Reason: reason, Message: message}
}

// isFinal tells whether the server will say the same again.
func isFinal(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsNotFound(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// holder finds the object that bears the name of ref, and settles ref when that is not the owner's to change.
func (p *pass) holder(ctx context.Context, resource schema.GroupVersionResource, ref manifests.Ref) (*unstructured.Unstructured, error) {
	live := p.live[ref]
	if live == nil {
		// Only what is not listed as ours is asked for by name, so an unchanged set costs no such request.
		found, err := p.objects.Resource(resource).Namespace(p.set.Owner.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("asking who holds %s: %w", ref, err)
		}
		if holder := found.GetLabels()[manifests.LabelOwner]; holder != p.set.Owner.String() {
			if holder == "" {
				holder = "something that mockup did not make"
			}
			p.fail(ref, backend.ReasonNameTaken, fmt.Sprintf("%s is there already and belongs to %s", ref, holder))
			return nil, nil
		}
		live = found
	}
	if goingAway(live) {
		p.settled[ref] = backend.State{
			Ref: ref, Phase: backend.Pending, Reason: string(backend.Terminating), Message: "the former one is still on its way out",
		}
	}
	return live, nil
}

// isUnchanged tells whether both what is wanted and what is there are as they were when the one was last made of the
// other.
func (p *pass) isUnchanged(want, live *unstructured.Unstructured) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.applied[string(live.GetUID())] == applied{fingerprint(want), fingerprint(live)}
}

// write applies want. An object that is not there yet is not forced, so that one that somebody else makes at this very
// moment is not taken over.
func (p *pass) write(ctx context.Context, resource schema.GroupVersionResource, want, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	result, err := p.serverSideApply(ctx, resource, want, live)
	switch {
	case live == nil || err == nil || !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err):
	case want.GetKind() == "PersistentVolumeClaim":
		result, err = p.keepSize(ctx, resource, want, live, err)
	case want.GetKind() == "Job" && strings.Contains(err.Error(), "field is immutable"):
		// Another Job by the same name: the old one goes first.
		return live, p.remove(ctx, resource, live)
	}
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.applied[string(result.GetUID())] = applied{fingerprint(want), fingerprint(result)}
	}
	return result, err
}

func (p *pass) serverSideApply(ctx context.Context, resource schema.GroupVersionResource, want, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	want = want.DeepCopy()
	if live != nil {
		want.SetUID(live.GetUID()) // and not one that has come in its place
	}
	return p.objects.Resource(resource).Namespace(want.GetNamespace()).
		Apply(ctx, want.GetName(), want, metav1.ApplyOptions{FieldManager: FieldManager, Force: live != nil})
}

// keepSize applies a claim that the server won't change to its new size, with the specification that it has.
func (p *pass) keepSize(ctx context.Context, resource schema.GroupVersionResource, want, live *unstructured.Unstructured, cause error) (*unstructured.Unstructured, error) {
	kept := want.DeepCopy()
	spec, _, _ := unstructured.NestedMap(kept.Object, "spec")
	has, _, _ := unstructured.NestedMap(live.Object, "spec")
	for field := range spec {
		spec[field] = has[field]
	}
	if err := unstructured.SetNestedMap(kept.Object, dropNulls(spec).(map[string]any), "spec"); err != nil {
		return nil, err
	}
	p.refused = append(p.refused, backend.Refusal{
		Ref: manifests.Ref{Kind: want.GetKind(), Name: want.GetName()}, Path: "spec", Reason: "the claim stays as it is: " + cause.Error(),
	})
	return p.serverSideApply(ctx, resource, kept, live)
}

// prune removes what the owner has and the set does not name.
func (p *pass) prune(ctx context.Context) error {
	for i, k := range kinds {
		for _, ref := range sortedRefs(p.live) {
			o := p.live[ref]
			if _, place, _ := resourceOf(ref.Kind); place != i || p.wanted[ref] || isRetained(o) || goingAway(o) {
				continue
			}
			if ref.Kind == "NetworkPolicy" && p.drains() {
				continue // the fence stays up until those inside are gone, whose end is a change
			}
			if err := p.remove(ctx, k.resource, o); err != nil {
				return fmt.Errorf("removing %s: %w", ref, err)
			}
		}
	}
	return nil
}

// drains tells whether pods are still there whose workload is not wanted.
func (p *pass) drains() bool {
	for i := range p.pods {
		if !p.wanted[p.workloadOf(&p.pods[i])] {
			return true
		}
	}
	return false
}

// workloadOf a pod, by its label and the kind that has made it.
func (p *pass) workloadOf(pod *corev1.Pod) manifests.Ref {
	ref := manifests.Ref{Kind: "Deployment", Name: pod.Labels[manifests.LabelWorkload]}
	for _, owner := range pod.OwnerReferences {
		if owner.Kind != "ReplicaSet" && isWorkload(owner.Kind) {
			ref.Kind = owner.Kind
		}
	}
	return ref
}

// remove the very object that was seen. Its pods go in the background.
func (p *pass) remove(ctx context.Context, resource schema.GroupVersionResource, o *unstructured.Unstructured) error {
	err := p.objects.Resource(resource).Namespace(o.GetNamespace()).Delete(ctx, o.GetName(), metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: new(o.GetUID())},
		PropagationPolicy: new(metav1.DeletePropagationBackground),
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.applied, string(o.GetUID()))
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
