// Package controllers reconciles the resources of mockup: each is gathered into facts, rendered, applied to the backend
// as a whole, judged, and its status written once.
package controllers

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"mockup.dev/mockup/internal/backend"
)

// Options of Setup.
type Options struct {
	// Backend runs what is rendered.
	Backend backend.Backend
	// Images maps image references to those that are really run.
	Images map[string]string
	// OneHost tells that volumes are those of one host, where a name means the same in every namespace.
	OneHost bool
	// Clock gives the time; nil is the system's.
	Clock func() time.Time
}

// Setup adds every controller to mgr.
func Setup(mgr ctrl.Manager, o Options) error {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	ends, err := newExpiry()
	if err != nil {
		return fmt.Errorf("registering the metric of certificates: %w", err)
	}
	changes := newFeed(o.Backend, "MockupStack", "ObservabilityAddon", "BackupPolicy")
	seen := newSightings()
	r := &StackReconciler{newBase(mgr, stackController, stackFinalizer, o), ends, seen}
	if err := r.setup(mgr, changes); err != nil {
		return fmt.Errorf("setting up the controller of MockupStack: %w", err)
	}
	a := &AddonReconciler{newBase(mgr, addonController, addonFinalizer, o), newHealthWatch(o)}
	if err := a.setup(mgr, changes); err != nil {
		return fmt.Errorf("setting up the controller of ObservabilityAddon: %w", err)
	}
	figures, err := newPolicyFigures()
	if err != nil {
		return fmt.Errorf("registering the metrics of policies: %w", err)
	}
	p := &PolicyReconciler{newBase(mgr, policyController, policyFinalizer, o), newTaken(), figures, newHooking(), seen, newSilence()}
	if err := p.setup(mgr, changes); err != nil {
		return fmt.Errorf("setting up the controller of BackupPolicy: %w", err)
	}
	return nil
}

// keyOf an object, for messages.
func keyOf(o client.Object) string { return o.GetNamespace() + "/" + o.GetName() }

// older is a total order, so that of two objects of a kind exactly one comes first: of those of the same second, that whose name
// does.
func older(a, b client.Object) bool {
	made, other := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if !made.Equal(&other) {
		return made.Before(&other)
	}
	return keyOf(a) < keyOf(b)
}

// metadataOf is the type whose metadata alone is cached: contents are read when they are needed.
func metadataOf(kind string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kind}}
}

// concurrency lets resources of a kind be reconciled side by side, so that a slow one delays no other.
func concurrency() controller.Options { return controller.Options{MaxConcurrentReconciles: 4} }
