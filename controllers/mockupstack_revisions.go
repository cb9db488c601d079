package controllers

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// defaultRevisionHistoryLimit is that of a Deployment.
const defaultRevisionHistoryLimit = 10

// revisionPlan is what is to be done so that the specification of a stack is kept.
type revisionPlan struct {
	// number of the specification.
	number int64
	// write is set where it is not kept under that number yet.
	write bool
	// remove are the numbers of those that are kept no longer.
	remove []int64
}

// planRevisions decides it for spec and what is kept, oldest first. As with a Deployment, a specification that was there
// before moves to the top under a new number, and limit earlier ones are kept beside it. It is pure.
func planRevisions(kept []manifests.Revision, spec *v1alpha1.MockupStackSpec, limit int) revisionPlan {
	want, plan := manifests.CanonicalSpec(spec), revisionPlan{number: 1, write: true}
	var earlier []int64
	for i := range kept {
		same := manifests.CanonicalSpec(&kept[i].Spec) == want
		plan.number = kept[i].Number + 1
		switch {
		case same && i == len(kept)-1:
			plan.number, plan.write = kept[i].Number, false
		case same:
			plan.remove = append(plan.remove, kept[i].Number)
		default:
			earlier = append(earlier, kept[i].Number)
		}
	}
	if excess := len(earlier) - limit; excess > 0 {
		plan.remove = append(plan.remove, earlier[:excess]...)
	}
	return plan
}

func revisionHistoryLimit(s *v1alpha1.MockupStack) int {
	if s.Spec.RevisionHistoryLimit != nil {
		return int(*s.Spec.RevisionHistoryLimit)
	}
	return defaultRevisionHistoryLimit
}

// keepRevision keeps the specification of the stack, unless a pass came to an error that leaves open whether it is valid,
// and returns its number; 0 where it is not kept. What status knows of this generation is not asked for again.
func (r *StackReconciler) keepRevision(ctx context.Context, stack *v1alpha1.MockupStack, applyErr error) (int64, error) {
	if !rendered(applyErr) {
		return 0, nil
	}
	if stack.Status.Revision != 0 && stack.Status.ObservedGeneration == stack.Generation {
		return stack.Status.Revision, nil
	}
	var found corev1.ConfigMapList
	if err := r.references.live.List(ctx, &found, client.InNamespace(stack.Namespace), client.MatchingLabels(manifests.RevisionLabels(stack.Name))); err != nil {
		return 0, fmt.Errorf("listing the revisions of %s: %w", keyOf(stack), err)
	}
	plan := planRevisions(manifests.ParseRevisions(stack, found.Items), &stack.Spec, revisionHistoryLimit(stack))
	if plan.write {
		number, err := r.writeRevision(ctx, stack, plan.number)
		if err != nil {
			return 0, err
		}
		plan.number = number
	}
	for _, number := range plan.remove {
		c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: manifests.RevisionName(stack.Name, number)}}
		if err := client.IgnoreNotFound(r.client.Delete(ctx, c)); err != nil {
			return plan.number, fmt.Errorf("removing revision %d of %s: %w", number, keyOf(stack), err)
		}
	}
	return plan.number, nil
}

// writeRevision keeps the specification under the first number from there whose name is free: a user may have a ConfigMap
// of that name, and that of a stack that was deleted a moment ago may not be gone yet.
func (r *StackReconciler) writeRevision(ctx context.Context, stack *v1alpha1.MockupStack, from int64) (int64, error) {
	const most = 200 // twice the highest revisionHistoryLimit
	for number := from; number < from+most; number++ {
		c := manifests.RevisionConfigMap(stack, number)
		if err := controllerutil.SetControllerReference(stack, c, r.client.Scheme()); err != nil {
			return 0, fmt.Errorf("owning ConfigMap %s: %w", c.Name, err)
		}
		switch err := r.client.Create(ctx, c); {
		case err == nil:
			return number, nil
		case !apierrors.IsAlreadyExists(err):
			return 0, fmt.Errorf("keeping revision %d of %s: %w", number, keyOf(stack), err)
		}
	}
	return 0, fmt.Errorf("keeping revision %d of %s: this name and the %d after it are taken", from, keyOf(stack), most-1)
}

// rendered tells whether a pass that ended with err came so far that the specification is known to be valid.
func rendered(err error) bool {
	var missing *manifests.MissingError
	var unavailable *backendError
	return err == nil || errors.As(err, &missing) || errors.As(err, &unavailable)
}
