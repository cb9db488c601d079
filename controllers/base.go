package controllers

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// base is what the reconcilers of all kinds have in common.
type base struct {
	client client.Client
	// references are what is not worth a cache: Secrets and ConfigMaps.
	references references
	events     events.EventRecorder
	// finalizer keeps a resource until nothing of it is left but retained volumes.
	finalizer string
	Options
}

// newBase for the controller called name.
func newBase(mgr ctrl.Manager, name, finalizer string, o Options) base {
	return base{
		client: mgr.GetClient(), references: references{mgr.GetClient(), mgr.GetAPIReader()},
		events: shortNotes{mgr.GetEventRecorder(name)}, finalizer: finalizer, Options: o,
	}
}

// get o as it is, from the API server and not from the cache: that may not have seen yet what the last pass wrote, and a
// status which is compared with an older one is taken for written, with nothing to come that would look again.
func (b *base) get(ctx context.Context, key client.ObjectKey, o client.Object) error {
	return b.references.live.Get(ctx, key, o)
}

// hold o with the finalizer.
func (b *base) hold(ctx context.Context, o client.Object) error {
	if !controllerutil.AddFinalizer(o, b.finalizer) {
		return nil
	}
	if err := b.client.Update(ctx, o); err != nil {
		return fmt.Errorf("adding the finalizer: %w", err)
	}
	return nil
}

// release o when nothing is left of what the removal takes away; live is what is still there.
func (b *base) release(ctx context.Context, o client.Object, removal manifests.Set) (live []backend.State, released bool, err error) {
	if !controllerutil.ContainsFinalizer(o, b.finalizer) {
		return nil, true, nil
	}
	seen, err := b.Backend.Apply(ctx, removal)
	if err != nil {
		return leftover(seen), false, &backendError{err}
	}
	if live = leftover(seen); len(live) > 0 {
		return live, false, nil
	}
	controllerutil.RemoveFinalizer(o, b.finalizer)
	if err := client.IgnoreNotFound(b.client.Update(ctx, o)); err != nil {
		return nil, false, fmt.Errorf("removing the finalizer: %w", err)
	}
	return nil, true, nil
}

// write the status of o by a patch against before, and then tell of transitions.
func (b *base) write(ctx context.Context, o, before client.Object, was, is []metav1.Condition) error {
	if err := b.client.Status().Patch(ctx, o, client.MergeFrom(before)); err != nil {
		if client.IgnoreNotFound(err) == nil { // it went meanwhile
			return nil
		}
		return fmt.Errorf("writing the status of %s: %w", keyOf(o), err)
	}
	for _, e := range transitions(was, is) {
		b.events.Eventf(o, nil, e.kind, e.reason, "Reconcile", "%s", e.message)
	}
	return nil
}
