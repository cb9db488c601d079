package kubernetes

import (
	"context"
	"math"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"mockup.dev/mockup/manifests"
)

// Changes watches the metadata of all that mockup has on the cluster, as backend.Backend promises. A watch that begins
// anew before its time, after a broken connection that is, reports every owner.
func (b *Backend) Changes(ctx context.Context) <-chan manifests.Owner {
	queue := workqueue.NewTyped[string]()
	for _, k := range kinds {
		go b.watch(ctx, k.resource, queue)
	}
	go b.watch(ctx, core("pods"), queue)
	context.AfterFunc(ctx, queue.ShutDown)
	out := make(chan manifests.Owner)
	go hand(ctx, queue, out)
	return out
}

// hand passes what is queued, each owner once however often it changed.
func hand(ctx context.Context, queue workqueue.TypedInterface[string], out chan<- manifests.Owner) {
	defer close(out)
	for {
		name, end := queue.Get()
		if end {
			return
		}
		queue.Done(name)
		owner, err := manifests.ParseOwner(name)
		if err != nil {
			continue // a label that we did not write
		}
		select {
		case out <- owner:
		case <-ctx.Done():
			return
		}
	}
}

// watch one resource until the context ends.
func (b *Backend) watch(ctx context.Context, resource schema.GroupVersionResource, queue workqueue.TypedInterface[string]) {
	client := b.metadata.Resource(resource)
	report := func(object any) {
		if gone, is := object.(cache.DeletedFinalStateUnknown); is {
			object = gone.Obj
		}
		if o, is := object.(*metav1.PartialObjectMetadata); is && o.Labels[manifests.LabelOwner] != "" {
			queue.Add(o.Labels[manifests.LabelOwner])
		}
	}
	var informer cache.SharedIndexInformer
	var ends time.Time // of the watch before, as agreed with the server; only the one reflector of the informer uses it
	informer = cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = manifests.LabelManagedBy + "=" + manifests.ManagedBy
			return client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = manifests.LabelManagedBy + "=" + manifests.ManagedBy
			w, err := client.Watch(ctx, o)
			if err != nil {
				return nil, err
			}
			if time.Now().Before(ends) { // it broke
				for _, known := range informer.GetStore().List() {
					report(known)
				}
			}
			ends = time.Now().Add(timeoutOf(o))
			return w, nil
		},
	}, &metav1.PartialObjectMetadata{}, 0, cache.Indexers{})
	_ = informer.SetTransform(onlyLabels)                            // fails only once the informer runs
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{ // as above
		AddFunc: report,
		UpdateFunc: func(before, after any) {
			report(before)
			report(after)
		},
		DeleteFunc: report,
	})
	informer.RunWithContext(ctx)
}

// timeoutOf a watch; without one it is to last for ever.
func timeoutOf(o metav1.ListOptions) time.Duration {
	if o.TimeoutSeconds == nil {
		return math.MaxInt64
	}
	return time.Duration(*o.TimeoutSeconds) * time.Second
}

// onlyLabels keeps of an object what Changes needs: a cluster may hold many.
func onlyLabels(object any) (any, error) {
	o, is := object.(*metav1.PartialObjectMetadata)
	if !is {
		return object, nil
	}
	return &metav1.PartialObjectMetadata{TypeMeta: o.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Name: o.Name, Namespace: o.Namespace, UID: o.UID, ResourceVersion: o.ResourceVersion, Labels: o.Labels,
	}}, nil
}
