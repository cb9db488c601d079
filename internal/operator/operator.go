package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/controllers"
	"mockup.dev/mockup/internal/backend/podman"
	"mockup.dev/mockup/internal/footprint"
)

const (
	// leaderElectionID names the Lease.
	leaderElectionID = "operator.mockup.dev"
	// stopTimeout is how long a pass that has begun may go on when the operator is told to end.
	stopTimeout = 10 * time.Second
)

// Run runs the controllers until ctx ends.
func Run(ctx context.Context, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	ctrl.SetLogger(o.Log)
	footprint.Bound()
	config, err := o.config()
	if err != nil {
		return err
	}
	synced := &atomic.Bool{}
	mgr, err := newManager(config, o, synced)
	if err != nil {
		return err
	}
	images, err := o.images()
	if err != nil {
		return err
	}
	b, err := o.backend(ctx, config)
	if err != nil {
		return err
	}
	if err := offerMetrics(mgr, b, o.Log.WithName("metrics")); err != nil {
		return err
	}
	_, isPodman := b.(*podman.Backend)
	if err := controllers.Setup(mgr, controllers.Options{Backend: b, Images: images, OneHost: isPodman}); err != nil {
		return fmt.Errorf("setting up the controllers: %w", err)
	}
	if err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return settle(ctx, mgr.GetCache(), synced, o) })); err != nil {
		return fmt.Errorf("adding the last step of the start: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the controllers: %w", err)
	}
	return nil
}

// settle tells that the operator is ready, and from then on keeps it small.
func settle(ctx context.Context, caches cache.Cache, synced *atomic.Bool, o Options) error {
	if !caches.WaitForCacheSync(ctx) {
		return nil // told to end before
	}
	synced.Store(true)
	if o.Ready != nil {
		o.Ready()
	}
	if err := footprint.Keep(ctx); err != nil {
		o.Log.Info("memory was not given back", "error", err.Error())
	}
	return nil
}

func newManager(config *rest.Config, o Options, synced *atomic.Bool) (ctrl.Manager, error) {
	timeout := stopTimeout
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        newScheme(),
		Logger:                        o.Log,
		Cache:                         cacheOptions(),
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}}},
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:        o.ProbeAddress,
		LeaderElection:                o.LeaderElection,
		LeaderElectionID:              leaderElectionID,
		LeaderElectionNamespace:       o.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("adding the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("caches", func(*http.Request) error { return ready(mgr.Elected(), synced) }); err != nil {
		return nil, fmt.Errorf("adding the readiness check: %w", err)
	}
	return mgr, nil
}

// ready is an error while an operator that leads does not see everything yet. One that waits to lead is ready: else a roll-out of
// the operator would never end, for the old one stays until the new one is ready, and leads until it goes.
func ready(elected <-chan struct{}, synced *atomic.Bool) error {
	select {
	case <-elected:
	default:
		return nil
	}
	if !synced.Load() {
		return errors.New("the caches are not filled yet")
	}
	return nil
}

// newScheme knows our own kinds and the few others that the controllers write; client-go's whole scheme costs memory.
func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(metav1.AddMetaToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// cacheOptions keep the caches small: what no controller reads is dropped on arrival.
func cacheOptions() cache.Options {
	metadata := func(kind string) client.Object {
		return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kind}}
	}
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			metadata("Secret"):    {Transform: identityOnly},
			metadata("ConfigMap"): {Transform: identityOnly},
		},
	}
}

// identityOnly drops from metadata what only the object's own tools read. kubectl keeps a whole Secret in an annotation.
func identityOnly(in any) (any, error) {
	if o, ok := in.(*metav1.PartialObjectMetadata); ok {
		o.ManagedFields, o.Annotations, o.Labels = nil, nil, nil
	}
	return in, nil
}

var _ toolscache.TransformFunc = identityOnly
