package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// oneListener is a backend whose reports go to whoever listens first, as Podman's do.
type oneListener struct {
	backend.Backend
	reports chan manifests.Owner
}

func (o oneListener) Changes(context.Context) <-chan manifests.Owner { return o.reports }

// TestEveryKindHearsOfItsOwn: two controllers listened to the backend, and each took half of what was meant for the other.
// A stack whose program was killed then stayed as it was until the next resync.
func TestEveryKindHearsOfItsOwn(t *testing.T) {
	b := oneListener{reports: make(chan manifests.Owner)}
	f := newFeed(b, "A", "B")
	queues := map[string]workqueue.TypedRateLimitingInterface[reconcile.Request]{}
	for _, kind := range []string{"A", "B"} {
		queues[kind] = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		if err := f.of(kind).Start(t.Context(), queues[kind]); err != nil {
			t.Fatal(err)
		}
	}
	const each = 20
	for i := range each {
		for _, kind := range []string{"A", "B"} {
			b.reports <- manifests.Owner{Kind: kind, Namespace: "ns", Name: fmt.Sprint(i)}
		}
	}
	for kind, queue := range queues {
		for deadline := time.Now().Add(5 * time.Second); queue.Len() != each; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s heard of %d of its own, want %d", kind, queue.Len(), each)
			}
		}
	}
}
