// Package kubernetes runs sets of manifests on a cluster: server-side apply under one field manager, pruning by the
// owner's label, readiness from the objects' status and changes by watch. What replaces, restarts and repairs pods are
// the cluster's own controllers.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"k8s.io/client-go/dynamic"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// FieldManager under which everything is applied. Fields that others have set on our objects stay theirs.
const FieldManager = "mockup"

// Backend is a cluster.
type Backend struct {
	config   *rest.Config
	objects  dynamic.Interface
	metadata metadata.Interface
	cluster  clientset.Interface

	mu sync.Mutex
	// applied remembers by UID what an object was like when it was last as wanted, so that an unchanged set is only
	// observed. It is no truth: after a restart everything is applied once more, which changes nothing.
	applied map[string]applied
}

var _ backend.Backend = (*Backend)(nil)

// New is a backend on the cluster of config. It connects with the first call.
func New(config *rest.Config) (*Backend, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // the server's priority and fairness holds us back where it has to
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of the cluster: %w", err)
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of the cluster: %w", err)
	}
	cluster, err := clientset.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of the cluster: %w", err)
	}
	return &Backend{config: config, objects: objects, metadata: meta, cluster: cluster, applied: map[string]applied{}}, nil
}

// Apply makes set the truth for its owner, as backend.Backend promises.
func (b *Backend) Apply(ctx context.Context, set manifests.Set) (backend.Observation, error) {
	if _, err := manifests.ParseOwner(set.Owner.String()); err != nil {
		return backend.Observation{}, fmt.Errorf("applying a set: %w", err)
	}
	if len(set.Objects) == 0 && !set.Remove {
		return backend.Observation{}, errors.New("applying the set of " + set.Owner.String() + ": it is empty; removal has to be said")
	}
	p, err := b.look(ctx, set)
	if err != nil {
		return backend.Observation{}, fmt.Errorf("looking at what %s has: %w", set.Owner, err)
	}
	for _, object := range set.Objects {
		if err := p.apply(ctx, object); err != nil {
			return backend.Observation{}, fmt.Errorf("applying %s of %s: %w", manifests.RefOf(object), set.Owner, err)
		}
	}
	if err := p.prune(ctx); err != nil {
		return backend.Observation{}, fmt.Errorf("removing what %s has no more: %w", set.Owner, err)
	}
	return p.observe(ctx)
}
