package controllers_test

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
)

// lag is how far a cache may be behind what was written.
const lag = 500 * time.Millisecond

// lagging reads resources from a cache that has not seen yet what was written to their status, as happens to every cache.
// Nothing tells a controller when it has: it does not wake for its own writes.
type lagging struct {
	client.Client

	mu    sync.Mutex
	shown map[string]*shown
}

// shown is what the cache has, and since when that is out of date.
type shown struct {
	version string
	status  any
	since   time.Time
}

func newLagging(config *rest.Config, o client.Options) (client.Client, error) {
	c, err := client.New(config, o)
	return &lagging{Client: c, shown: map[string]*shown{}}, err
}

// Get implements client.Reader.
func (l *lagging) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if err := l.Client.Get(ctx, key, o, opts...); err != nil {
		return err
	}
	switch o := o.(type) {
	case *v1alpha1.MockupStack:
		o.Status = *l.behind("MockupStack/"+key.String(), o, o.Status.DeepCopy()).(*v1alpha1.MockupStackStatus).DeepCopy()
	case *v1alpha1.ObservabilityAddon:
		o.Status = *l.behind("ObservabilityAddon/"+key.String(), o, o.Status.DeepCopy()).(*v1alpha1.ObservabilityAddonStatus).DeepCopy()
	case *v1alpha1.BackupPolicy:
		o.Status = *l.behind("BackupPolicy/"+key.String(), o, o.Status.DeepCopy()).(*v1alpha1.BackupPolicyStatus).DeepCopy()
	}
	return nil
}

// behind is the status that was there until a while ago.
func (l *lagging) behind(key string, o client.Object, status any) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shown[key]
	switch {
	case s == nil || s.version == o.GetResourceVersion() || !s.since.IsZero() && time.Since(s.since) > lag:
		s = &shown{version: o.GetResourceVersion(), status: status}
		l.shown[key] = s
	case s.since.IsZero():
		s.since = time.Now()
	}
	return s.status
}
