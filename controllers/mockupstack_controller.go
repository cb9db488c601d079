package controllers

import (
	"cmp"
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// Names of the controller, who reports events, and of the finalizer.
const (
	stackController = "mockupstack"
	stackFinalizer  = "mockup.dev/stack"
)

// +kubebuilder:rbac:groups=mockup.dev,resources=mockupstacks,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=mockup.dev,resources=mockupstacks/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=mockup.dev,resources=mockupstacks/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets;configmaps,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups="",resources=services;persistentvolumeclaims,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=pods/log,verbs=get
// +kubebuilder:rbac:groups="",resources=nodes/proxy,verbs=get
// +kubebuilder:rbac:groups="",resources=pods/exec;pods/portforward,verbs=create;get
// +kubebuilder:rbac:groups=apps,resources=deployments;daemonsets,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;list;watch;create;update;patch;delete

// StackReconciler brings MockupStacks to life.
type StackReconciler struct {
	base
	expiry    expiry
	sightings *sightings
}

// Reconcile is one pass: gather, render, apply, keep the specification, judge, write the status once.
func (r *StackReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	stack := &v1alpha1.MockupStack{}
	if err := r.get(ctx, req.NamespacedName, stack); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !stack.DeletionTimestamp.IsZero() {
		return r.remove(ctx, stack)
	}
	if err := r.hold(ctx, stack); err != nil {
		return reconcile.Result{}, err
	}
	seen, applyErr := r.apply(ctx, stack)
	revision, keepErr := r.keepRevision(ctx, stack, applyErr)
	status := stackStatus(stack, seen, applyErr, r.Clock())
	status.Revision = revision
	if err := r.writeStatus(ctx, stack, status); err != nil {
		return reconcile.Result{}, err
	}
	if err := cmp.Or(keepErr, retryable(applyErr)); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: r.untilRenewal(ctx, stack)}, nil
}

// apply makes what the stack asks for true as far as one pass can.
func (r *StackReconciler) apply(ctx context.Context, stack *v1alpha1.MockupStack) (observed, error) {
	facts, err := r.gather(ctx, stack)
	if err != nil {
		return observed{}, err
	}
	r.expiry.note(stack, facts.Secrets)
	set, err := manifests.Stack(stack, facts)
	if err != nil {
		return observed{}, err
	}
	seen, err := r.Backend.Apply(ctx, set)
	if err != nil {
		return observed{}, &backendError{err}
	}
	r.sightings.note(client.ObjectKeyFromObject(stack), seen)
	return observed{Set: set, Observation: seen, Restoring: facts.Restoring}, nil
}

// observed is what a pass has seen of what it asked for.
type observed struct {
	manifests.Set
	backend.Observation
	// Restoring are the volumes of a stack that are restored in place.
	Restoring []manifests.Restoring
}

// remove takes everything of the stack away but retained volumes, and lets it go when nothing else is left.
func (r *StackReconciler) remove(ctx context.Context, stack *v1alpha1.MockupStack) (reconcile.Result, error) {
	r.expiry.forget(stack)
	r.sightings.forget(client.ObjectKeyFromObject(stack))
	live, released, err := r.release(ctx, stack, manifests.StackRemoval(stack))
	if released {
		return reconcile.Result{}, nil
	}
	if err := r.writeStatus(ctx, stack, removalStatus(stack, live, err, r.Clock())); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, err
}

// writeStatus patches the status if it differs.
func (r *StackReconciler) writeStatus(ctx context.Context, stack *v1alpha1.MockupStack, status v1alpha1.MockupStackStatus) error {
	if equality.Semantic.DeepEqual(stack.Status, status) {
		return nil
	}
	before := stack.DeepCopy()
	stack.Status = status
	return r.write(ctx, stack, before, before.Status.Conditions, status.Conditions)
}

func (r *StackReconciler) setup(mgr ctrl.Manager, changes *feed) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named(stackController).
		For(&v1alpha1.MockupStack{}, forChangedSpec()).
		Watches(&v1alpha1.MockupStack{}, r.siblings(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.ObservabilityAddon{}, handler.EnqueueRequestsFromMapFunc(watched), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.BackupPolicy{}, handler.EnqueueRequestsFromMapFunc(r.restored), forRestores()).
		WatchesRawSource(changes.of("MockupStack")).
		WatchesMetadata(metadataOf("Secret"), r.referring("Secret")).
		WatchesMetadata(metadataOf("ConfigMap"), r.referring("ConfigMap")).
		WithOptions(concurrency()).
		Complete(r)
}
