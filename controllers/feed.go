package controllers

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"mockup.dev/mockup/internal/backend"
)

// feed hands the owners that the backend reports to the controllers of their kinds. It alone listens to the backend: each
// report is for one listener, and of two, one got what the other should have.
type feed struct {
	backend backend.Backend
	kinds   []string

	mu     sync.Mutex
	queues map[string]workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func newFeed(b backend.Backend, kinds ...string) *feed {
	return &feed{backend: b, kinds: kinds, queues: map[string]workqueue.TypedRateLimitingInterface[reconcile.Request]{}}
}

// of is the source of one kind. Reports are listened to when all kinds are there to hear them.
func (f *feed) of(kind string) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.queues[kind] != nil {
			return fmt.Errorf("there are two controllers of %s", kind)
		}
		f.queues[kind] = queue
		if len(f.queues) == len(f.kinds) {
			go f.run(ctx)
		}
		return nil
	})
}

func (f *feed) run(ctx context.Context) {
	for owner := range f.backend.Changes(ctx) {
		if queue := f.queues[owner.Kind]; queue != nil { // nobody adds any more
			queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: owner.Namespace, Name: owner.Name}})
		}
	}
}
