package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// Names of the controller, who reports events, and of the finalizer.
const (
	addonController = "observabilityaddon"
	addonFinalizer  = "mockup.dev/observability"
)

// +kubebuilder:rbac:groups=mockup.dev,resources=observabilityaddons,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=mockup.dev,resources=observabilityaddons/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=mockup.dev,resources=observabilityaddons/finalizers,verbs=update

// AddonReconciler brings ObservabilityAddons to life.
type AddonReconciler struct {
	base
	health *healthWatch
}

// Reconcile is one pass: gather, render, apply, judge, write the status once.
func (r *AddonReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	addon := &v1alpha1.ObservabilityAddon{}
	if err := r.get(ctx, req.NamespacedName, addon); err != nil {
		if apierrors.IsNotFound(err) {
			r.health.attend(req.NamespacedName, nil, accounts{})
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !addon.DeletionTimestamp.IsZero() {
		return r.remove(ctx, addon)
	}
	if err := r.hold(ctx, addon); err != nil {
		return reconcile.Result{}, err
	}
	seen, people, applyErr := r.apply(ctx, addon)
	health := r.health.known(req.NamespacedName)
	if wasLookedAt(applyErr) {
		health = r.health.attend(req.NamespacedName, programsOf(addon, seen), people)
	}
	if err := r.writeStatus(ctx, addon, addonStatus(addon, seen, health, applyErr, r.Clock())); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, retryable(applyErr)
}

// apply makes what the addon asks for true as far as one pass can. Where its stack is gone, or going, what it runs goes too,
// since it is on the stack's networks; its data stays.
func (r *AddonReconciler) apply(ctx context.Context, addon *v1alpha1.ObservabilityAddon) (observed, accounts, error) {
	facts, err := r.gather(ctx, addon)
	if stackIsGone(err) {
		if _, stopErr := r.Backend.Apply(ctx, manifests.ObservabilityRemoval(addon).Retaining()); stopErr != nil {
			return observed{}, accounts{}, &backendError{stopErr}
		}
	}
	if err != nil {
		return observed{}, accounts{}, err
	}
	set, err := manifests.Observability(addon, facts)
	if err != nil {
		return observed{}, accounts{}, err
	}
	seen, err := r.Backend.Apply(ctx, set)
	if err != nil {
		return observed{}, accounts{}, &backendError{err}
	}
	return observed{Set: set, Observation: seen}, accountsOf(addon, facts.Secrets), nil
}

// gather reads what rendering the addon depends on, and makes the Secrets that are the operator's to make.
func (r *AddonReconciler) gather(ctx context.Context, addon *v1alpha1.ObservabilityAddon) (manifests.ObservabilityFacts, error) {
	facts := manifests.ObservabilityFacts{Images: r.Images, Stack: &v1alpha1.MockupStack{}}
	key := types.NamespacedName{Namespace: addon.Namespace, Name: addon.Spec.StackRef.Name}
	err := r.client.Get(ctx, key, facts.Stack)
	if apierrors.IsNotFound(err) || err == nil && !facts.Stack.DeletionTimestamp.IsZero() {
		return facts, &stackNotFoundError{name: key.Name, deleting: err == nil}
	}
	if err != nil {
		return facts, fmt.Errorf("reading MockupStack %s: %w", key, err)
	}
	refs := manifests.ObservabilityReferences(addon)
	if err := r.ensureAdmin(ctx, addon, refs); err != nil {
		return facts, err
	}
	facts.Secrets, _, err = r.references.read(ctx, addon.Namespace, refs)
	return facts, err
}

// remove takes everything of the addon away but retained volumes, and lets it go when nothing else is left.
func (r *AddonReconciler) remove(ctx context.Context, addon *v1alpha1.ObservabilityAddon) (reconcile.Result, error) {
	r.health.attend(client.ObjectKeyFromObject(addon), nil, accounts{})
	if err := r.releaseAdmin(ctx, addon); err != nil {
		return reconcile.Result{}, err
	}
	live, released, err := r.release(ctx, addon, manifests.ObservabilityRemoval(addon))
	if released {
		return reconcile.Result{}, nil
	}
	status := *addon.Status.DeepCopy()
	status.ObservedGeneration = addon.Generation
	setConditions(&status.Conditions, removalVerdict(live, err), addon.Generation, r.Clock())
	if err := r.writeStatus(ctx, addon, status); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, err
}

// writeStatus patches the status if it differs.
func (r *AddonReconciler) writeStatus(ctx context.Context, addon *v1alpha1.ObservabilityAddon, status v1alpha1.ObservabilityAddonStatus) error {
	if equality.Semantic.DeepEqual(addon.Status, status) {
		return nil
	}
	before := addon.DeepCopy()
	addon.Status = status
	return r.write(ctx, addon, before, before.Status.Conditions, status.Conditions)
}

// programsOf are the addon's pods that can be asked, by component.
func programsOf(addon *v1alpha1.ObservabilityAddon, seen observed) map[string]backend.PodRef {
	out := map[string]backend.PodRef{}
	for _, component := range manifests.ObservabilityComponents(addon) {
		ref, _, _ := programIn(seen.Set, component)
		state, _ := seen.Find(ref)
		for _, p := range state.Pods {
			if p.Ready {
				out[component] = backend.PodRef{Owner: manifests.ObservabilityOwner(addon), Pod: p.Name}
			}
		}
	}
	return out
}

func (r *AddonReconciler) setup(mgr ctrl.Manager, changes *feed) error {
	if err := mgr.Add(r.health); err != nil {
		return fmt.Errorf("adding what asks the programs: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named(addonController).
		For(&v1alpha1.ObservabilityAddon{}, forChangedSpec()).
		Watches(&v1alpha1.MockupStack{}, handler.EnqueueRequestsFromMapFunc(r.watching)).
		WatchesRawSource(changes.of("ObservabilityAddon")).
		WatchesRawSource(source.Channel(r.health.news, &handler.EnqueueRequestForObject{})).
		WatchesMetadata(metadataOf("Secret"), handler.EnqueueRequestsFromMapFunc(r.referring)).
		WithOptions(concurrency()).
		Complete(r)
}

// watching maps a stack to the addons that watch it.
func (r *AddonReconciler) watching(ctx context.Context, stack client.Object) []reconcile.Request {
	return r.addons(ctx, stack.GetNamespace(), func(a *v1alpha1.ObservabilityAddon) bool { return a.Spec.StackRef.Name == stack.GetName() })
}

// referring maps a Secret to the addons that refer to it.
func (r *AddonReconciler) referring(ctx context.Context, secret client.Object) []reconcile.Request {
	return r.addons(ctx, secret.GetNamespace(), func(a *v1alpha1.ObservabilityAddon) bool {
		for _, ref := range manifests.ObservabilityReferences(a) {
			if ref.Kind == "Secret" && ref.Name == secret.GetName() {
				return true
			}
		}
		return false
	})
}

// addons of a namespace that are concerned.
func (r *AddonReconciler) addons(ctx context.Context, namespace string, concerned func(*v1alpha1.ObservabilityAddon) bool) []reconcile.Request {
	var all v1alpha1.ObservabilityAddonList
	if err := r.client.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range all.Items {
		if concerned(&all.Items[i]) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
	}
	return out
}
