package kubernetes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest"
	"mockup.dev/mockup/internal/backend/kubernetes"
	"mockup.dev/mockup/manifests"
)

var resources = map[string]schema.GroupVersionResource{
	"ConfigMap":             {Version: "v1", Resource: "configmaps"},
	"Deployment":            {Group: "apps", Version: "v1", Resource: "deployments"},
	"Job":                   {Group: "batch", Version: "v1", Resource: "jobs"},
	"NetworkPolicy":         {Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
	"PersistentVolumeClaim": {Version: "v1", Resource: "persistentvolumeclaims"},
	"Secret":                {Version: "v1", Resource: "secrets"},
	"Service":               {Version: "v1", Resource: "services"},
}

func TestContract(t *testing.T) {
	backendtest.Run(t, backendtest.Harness{
		New: func(t backendtest.T) (backend.Backend, backendtest.World) {
			w := &world{line: newLine(), objects: dynamic.NewForConfigOrDie(cluster.config)}
			return w.Another(t), w
		},
		Image:        "localhost/mockup/guest:1",
		MissingImage: missingImage,
		Can: backendtest.Capabilities{
			Things: []string{"ConfigMap", "Deployment", "Job", "NetworkPolicy", "PersistentVolumeClaim", "Secret", "Service"},
			Taken:  []string{"ConfigMap", "Deployment", "NetworkPolicy", "PersistentVolumeClaim", "Secret", "Service"},
			Edits:  []string{"ConfigMap", "Deployment", "NetworkPolicy", "Service"},
			Jobs:   true, Break: true,
		},
		Refused: []backendtest.Refused{{
			Path: "spec.template.metadata.annotations[" + manifests.AnnotationIPPrefix + "public]",
			Change: func(d *appsv1.Deployment) {
				d.Spec.Template.Annotations = map[string]string{manifests.AnnotationIPPrefix + "public": "10.0.0.9"}
			},
		}, {
			Path:   "spec.template.spec.containers[0].ports[0].hostPort",
			Change: func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Ports[0].HostPort = 8080 },
		}},
		Poll: 20 * time.Millisecond, Timeout: 60 * time.Second, ApplyLimit: 10 * time.Second, Parallel: true,
	})
}

// world is the second client. It talks to the API server over a connection of its own.
type world struct {
	line    *line
	objects dynamic.Interface
}

func (w *world) Another(t backendtest.T) backend.Backend {
	b, err := kubernetes.New(w.line.config)
	if err != nil {
		t.Fatalf("making a backend: %v", err)
	}
	return b
}

func owned(owner manifests.Owner) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: manifests.LabelOwner + "=" + owner.String()}
}

func (w *world) Pods(ctx context.Context, owner manifests.Owner) ([]backendtest.Pod, error) {
	list, err := cluster.client.CoreV1().Pods(owner.Namespace).List(ctx, owned(owner))
	if err != nil {
		return nil, err
	}
	var pods []backendtest.Pod
	for i := range list.Items {
		p := &list.Items[i]
		pod := backendtest.Pod{
			Name: p.Name, Namespace: p.Namespace, IDs: []string{string(p.UID)}, Labels: p.Labels, Ready: podReady(p),
			Workload:    manifests.Ref{Kind: p.OwnerReferences[0].Kind, Name: p.OwnerReferences[0].Name},
			Terminating: p.DeletionTimestamp != nil,
		}
		for _, c := range p.Status.ContainerStatuses {
			if c.ContainerID != "" {
				pod.IDs = append(pod.IDs, c.ContainerID)
			}
		}
		if p.Status.PodIP != "" {
			pod.Addresses = map[string]string{"": p.Status.PodIP}
		}
		pods = append(pods, pod)
	}
	return pods, nil
}

func (w *world) Things(ctx context.Context, owner manifests.Owner) ([]backendtest.Thing, error) {
	var things []backendtest.Thing
	for kind, resource := range resources {
		list, err := w.objects.Resource(resource).Namespace(owner.Namespace).List(ctx, owned(owner))
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			things = append(things, show(kind, &list.Items[i]))
		}
	}
	return things, nil
}

func (w *world) Find(ctx context.Context, namespace string, ref manifests.Ref) (backendtest.Thing, bool, error) {
	o, err := w.objects.Resource(resources[ref.Kind]).Namespace(namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return backendtest.Thing{}, false, nil
	}
	if err != nil {
		return backendtest.Thing{}, false, err
	}
	return show(ref.Kind, o), true, nil
}

func show(kind string, o *unstructured.Unstructured) backendtest.Thing {
	thing := backendtest.Thing{
		Ref: manifests.Ref{Kind: kind, Name: o.GetName()}, ID: string(o.GetUID()), Labels: o.GetLabels(),
	}
	thing.Data, _, _ = unstructured.NestedStringMap(o.Object, "data")
	return thing
}

func (w *world) Writes(context.Context) (int, error) { return int(w.line.writes.Load()), nil }

func (w *world) Provide(ctx context.Context, objects ...manifests.Object) error {
	for _, object := range objects {
		if err := w.create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) create(ctx context.Context, object manifests.Object) error {
	data, err := json.Marshal(object)
	if err != nil {
		return err
	}
	var o unstructured.Unstructured
	if err := o.UnmarshalJSON(data); err != nil {
		return err
	}
	_, err = w.objects.Resource(resources[o.GetKind()]).Namespace(o.GetNamespace()).Create(ctx, &o, metav1.CreateOptions{})
	return err
}

func (w *world) Plant(ctx context.Context, ref manifests.Ref, owner manifests.Owner) error {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	spec := map[string]string{
		"ConfigMap":             `{"apiVersion": "v1", "data": {"message": "theirs"}}`,
		"Secret":                `{"apiVersion": "v1", "data": {"key": "dGhlaXJz"}}`,
		"Service":               `{"apiVersion": "v1", "spec": {"ports": [{"port": 1}]}}`,
		"NetworkPolicy":         `{"apiVersion": "networking.k8s.io/v1", "spec": {"podSelector": {"matchLabels": {"no": "pod"}}}}`,
		"PersistentVolumeClaim": `{"apiVersion": "v1", "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}`,
		"Deployment": `{"apiVersion": "apps/v1", "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
			"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}`,
	}[ref.Kind]
	if err := json.Unmarshal([]byte(spec), &o.Object); err != nil {
		return fmt.Errorf("planting %s: %w", ref, err)
	}
	o.SetKind(ref.Kind)
	o.SetName(ref.Name)
	o.SetNamespace(owner.Namespace)
	if owner.Name != "" {
		o.SetLabels(map[string]string{manifests.LabelOwner: owner.String()})
	}
	_, err := w.objects.Resource(resources[ref.Kind]).Namespace(owner.Namespace).Create(ctx, o, metav1.CreateOptions{})
	return err
}

func (w *world) Edit(ctx context.Context, owner manifests.Owner, ref manifests.Ref) error {
	patch := map[string]string{
		"ConfigMap":     `{"data": {"message": "edited"}}`,
		"Service":       `{"spec": {"selector": {"` + manifests.LabelPartOf + `": "edited"}}}`,
		"NetworkPolicy": `{"spec": {"ingress": null}}`,
		"Deployment":    `{"spec": {"replicas": 0}}`,
	}[ref.Kind]
	_, err := w.objects.Resource(resources[ref.Kind]).Namespace(owner.Namespace).
		Patch(ctx, ref.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
	return err
}

func (w *world) Kill(ctx context.Context, pod backendtest.Pod) error {
	for {
		p, err := cluster.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err = cluster.node.kill(ctx, p); !apierrors.IsConflict(err) {
			return err
		}
	}
}

func (w *world) RemovePod(ctx context.Context, pod backendtest.Pod) error {
	return cluster.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
}

func (w *world) Break(context.Context) error {
	w.line.dialer.CloseAll()
	return nil
}

func (w *world) Resolve(context.Context, backendtest.Pod, string) ([]string, error) {
	return nil, errors.ErrUnsupported
}

func (w *world) Harm(context.Context, backendtest.Pod, backendtest.Harm) (func(context.Context) error, error) {
	return nil, errors.ErrUnsupported
}

func (w *world) Rebuild(context.Context, string) error { return errors.ErrUnsupported }

func (w *world) Connect(context.Context, backendtest.Pod, backendtest.Pod, int) (bool, error) {
	return false, errors.ErrUnsupported
}
