package controlplane

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	namespacecontroller "k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
)

const (
	// namespaceResync is how often a namespace whose deletion got stuck is looked at again.
	namespaceResync = 5 * time.Minute
	// collectorSyncTimeout is how long the garbage collector waits for its first complete view before it starts anyway.
	collectorSyncTimeout = 30 * time.Second
	// collectorAlertTime is how long after a change of CRDs the garbage collector looks for kinds often, every
	// collectorAlertPeriod. At other times it looks every collectorCalmPeriod, in case the news of a change was missed.
	collectorAlertTime   = 4 * time.Second
	collectorAlertPeriod = time.Second
	collectorCalmPeriod  = 10 * time.Minute
)

// startControllers starts what kube-controller-manager would run. wait returns when all of it has ended after ctx.
func startControllers(ctx context.Context, config *rest.Config) (wait func(), err error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making the controllers' client: %w", err)
	}
	metadataClient, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making the controllers' metadata client: %w", err)
	}
	shared := informers.NewSharedInformerFactory(client, 0)
	sharedMetadata := metadatainformer.NewSharedInformerFactory(metadataClient, 0)

	started := make(chan struct{})
	collector, err := newCollector(ctx, client, metadataClient, informerfactory.NewInformerFactory(shared, sharedMetadata), started)
	if err != nil {
		return nil, err
	}
	namespaces := namespacecontroller.NewNamespaceController(ctx, client, metadataClient,
		client.Discovery().ServerPreferredNamespacedResources, shared.Core().V1().Namespaces(), namespaceResync, corev1.FinalizerKubernetes)
	accounts, err := serviceaccount.NewServiceAccountsController(klog.FromContext(ctx), shared.Core().V1().ServiceAccounts(),
		shared.Core().V1().Namespaces(), client, serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return nil, fmt.Errorf("making the service account controller: %w", err)
	}
	roles := clusterroleaggregation.NewClusterRoleAggregation(shared.Rbac().V1().ClusterRoles(), client.RbacV1())
	crdChanges := watchCRDs(ctx, sharedMetadata)

	shared.Start(ctx.Done())
	sharedMetadata.Start(ctx.Done())
	close(started)
	var group sync.WaitGroup
	group.Go(func() { collector.Run(ctx, 1, collectorSyncTimeout) })
	group.Go(func() { syncCollector(ctx, collector, client, crdChanges) })
	group.Go(func() { namespaces.Run(ctx, 1) })
	group.Go(func() { accounts.Run(ctx, 1) })
	group.Go(func() { roles.Run(ctx, 1) })
	return func() { group.Wait(); shared.Shutdown(); sharedMetadata.Shutdown() }, nil
}

// newCollector makes the garbage collector. Leases are left out beside events: they are renewed every few seconds, and
// each renewal would pass through its graph.
func newCollector(ctx context.Context, client kubernetes.Interface, metadataClient metadata.Interface,
	shared informerfactory.InformerFactory, started <-chan struct{}) (*garbagecollector.GarbageCollector, error) {
	ignored := maps.Clone(garbagecollector.DefaultIgnoredResources())
	ignored[coordinationv1.SchemeGroupVersion.WithResource("leases").GroupResource()] = struct{}{}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	collector, err := garbagecollector.NewGarbageCollector(ctx, client, metadataClient, mapper, ignored, shared, started)
	if err != nil {
		return nil, fmt.Errorf("making the garbage collector: %w", err)
	}
	return collector, nil
}

// syncCollector tells the collector about new and vanished kinds soon after a CRD changed. Upstream polls discovery every
// 30 seconds instead: too late for an owner created right after its CRD, and work for nothing all day. A change is
// followed by a while of frequent looks, because discovery itself follows a CRD with some delay.
func syncCollector(ctx context.Context, collector *garbagecollector.GarbageCollector, client kubernetes.Interface, changes <-chan struct{}) {
	for ctx.Err() == nil {
		alert, endAlert := context.WithTimeout(ctx, collectorAlertTime)
		collector.Sync(alert, client.Discovery(), collectorAlertPeriod)
		endAlert()

		calm, endCalm := context.WithCancel(ctx)
		var group sync.WaitGroup
		group.Go(func() { collector.Sync(calm, client.Discovery(), collectorCalmPeriod) })
		select {
		case <-ctx.Done():
		case <-changes: // also one from the time of alert, whose end it may have missed
		}
		endCalm()
		group.Wait()
	}
}

// watchCRDs reports that some CRD was added, changed or removed. Reports that nobody took yet are one.
func watchCRDs(ctx context.Context, shared metadatainformer.SharedInformerFactory) <-chan struct{} {
	changes := make(chan struct{}, 1)
	report := func() {
		select {
		case changes <- struct{}{}:
		default:
		}
	}
	informer := shared.ForResource(apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")).Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { report() },
		UpdateFunc: func(before, after any) { reportUpdate(before, after, report) },
		DeleteFunc: func(any) { report() },
	})
	if err != nil { // only if the informer has been stopped
		klog.FromContext(ctx).Error(err, "Watching CRDs for the garbage collector")
	}
	return changes
}

func reportUpdate(before, after any, report func()) {
	b, ok1 := before.(*metav1.PartialObjectMetadata)
	a, ok2 := after.(*metav1.PartialObjectMetadata)
	if ok1 && ok2 && a.ResourceVersion == b.ResourceVersion {
		return
	}
	report()
}
