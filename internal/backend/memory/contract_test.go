package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest"
	"mockup.dev/mockup/internal/backend/memory"
	"mockup.dev/mockup/manifests"
)

const (
	image        = "localhost/mockup/guest:1"
	missingImage = "localhost/mockup/missing:1"
)

// second is how long one lasts in these tests.
const second = 20 * time.Millisecond

var kinds = []string{"ConfigMap", "Deployment", "NetworkPolicy", "PersistentVolumeClaim", "Secret", "Service"}

func harness() backendtest.Harness {
	const path = "spec.template.spec.hostNetwork"
	return backendtest.Harness{
		New: func(backendtest.T) (backend.Backend, backendtest.World) {
			w := memory.NewWorld()
			w.Missing(missingImage, true)
			w.Second(second)
			w.Refuse(func(o manifests.Object) []backend.Refusal {
				if d, ok := o.(*appsv1.Deployment); ok && d.Spec.Template.Spec.HostNetwork {
					return []backend.Refusal{{Ref: manifests.RefOf(o), Path: path, Reason: "there is no host"}}
				}
				return nil
			})
			return memory.New(w), world{w}
		},
		Image:        image,
		MissingImage: missingImage,
		Can: backendtest.Capabilities{
			Things: append(kinds, "Job"), Taken: kinds, Edits: []string{"ConfigMap", "Service", "NetworkPolicy", "Deployment"},
			Harms:    []backendtest.Harm{backendtest.HarmAddress, backendtest.HarmWipe},
			Networks: true, Names: true, RollOut: true, Surge: true, Jobs: true, JobRules: true, BackOff: true, Init: true,
			Hooks: true, Reload: true, Break: true,
		},
		Refused: []backendtest.Refused{{
			Path: path, Change: func(d *appsv1.Deployment) { d.Spec.Template.Spec.HostNetwork = true },
		}},
		Poll:    time.Millisecond,
		Timeout: 3 * time.Second,
		Second:  second,
		Pace:    4 * time.Millisecond,
		Many:    50,
	}
}

func TestContract(t *testing.T) { backendtest.Run(t, harness()) }

// world is the second client on a memory world.
type world struct{ *memory.World }

func (w world) Pods(_ context.Context, owner manifests.Owner) ([]backendtest.Pod, error) {
	var pods []backendtest.Pod
	for _, p := range w.World.Pods(owner) {
		pods = append(pods, backendtest.Pod{
			Name: p.Name, Namespace: p.Namespace, Workload: p.Workload,
			IDs:    []string{p.ID, fmt.Sprintf("%s restart %d", p.ID, p.Restarts)},
			Labels: p.Labels, Addresses: p.Addresses, Ready: p.Ready, Terminating: p.Terminating,
		})
	}
	return pods, nil
}

func (w world) Things(_ context.Context, owner manifests.Owner) ([]backendtest.Thing, error) {
	var things []backendtest.Thing
	for _, th := range w.World.Things(owner) {
		things = append(things, show(th))
	}
	return things, nil
}

func (w world) Find(_ context.Context, namespace string, ref manifests.Ref) (backendtest.Thing, bool, error) {
	th, found := w.World.Find(namespace, ref)
	if !found {
		return backendtest.Thing{}, false, nil
	}
	return show(th), true, nil
}

func show(th memory.Thing) backendtest.Thing {
	shown := backendtest.Thing{Ref: th.Ref, ID: th.ID, Labels: th.Object.GetLabels()}
	switch o := th.Object.(type) {
	case *corev1.ConfigMap:
		shown.Data = o.Data
	case *corev1.Secret:
		shown.Data = map[string]string{}
		for key, value := range o.Data {
			shown.Data[key] = string(value)
		}
	}
	return shown
}

func (w world) Writes(context.Context) (int, error)                { return w.World.Writes(), nil }
func (w world) Another(backendtest.T) backend.Backend              { return memory.New(w.World) }
func (w world) Provide(context.Context, ...manifests.Object) error { return nil }

func (w world) Plant(_ context.Context, ref manifests.Ref, owner manifests.Owner) error {
	meta := metav1.ObjectMeta{Name: ref.Name, Namespace: owner.Namespace}
	if owner.Name != "" {
		meta.Labels = map[string]string{manifests.LabelOwner: owner.String()}
	}
	kind := metav1.TypeMeta{Kind: ref.Kind}
	switch ref.Kind {
	case "ConfigMap":
		w.World.Plant(owner, &corev1.ConfigMap{TypeMeta: kind, ObjectMeta: meta, Data: map[string]string{"message": "theirs"}})
	case "Secret":
		w.World.Plant(owner, &corev1.Secret{TypeMeta: kind, ObjectMeta: meta, Data: map[string][]byte{"key": []byte("theirs")}})
	case "PersistentVolumeClaim":
		w.World.Plant(owner, &corev1.PersistentVolumeClaim{TypeMeta: kind, ObjectMeta: meta})
	case "Service":
		w.World.Plant(owner, &corev1.Service{TypeMeta: kind, ObjectMeta: meta})
	case "NetworkPolicy":
		w.World.Plant(owner, &networkingv1.NetworkPolicy{TypeMeta: kind, ObjectMeta: meta})
	case "Deployment":
		w.World.Plant(owner, &appsv1.Deployment{TypeMeta: kind, ObjectMeta: meta})
	default:
		return fmt.Errorf("%s can't be planted", ref)
	}
	return nil
}

func (w world) Edit(_ context.Context, owner manifests.Owner, ref manifests.Ref) error {
	return w.World.Edit(owner, ref, func(object manifests.Object) {
		switch o := object.(type) {
		case *corev1.ConfigMap:
			o.Data = map[string]string{"message": "edited"}
		case *corev1.Service:
			o.Spec.Selector = map[string]string{"edited": "true"}
		case *networkingv1.NetworkPolicy:
			o.Spec.Ingress = nil
		case *appsv1.Deployment:
			o.Spec.Template.Spec.Containers[0].Image = "edited"
		}
	})
}

func (w world) Kill(_ context.Context, p backendtest.Pod) error {
	return w.World.Kill(p.Namespace, p.Name)
}

func (w world) RemovePod(_ context.Context, p backendtest.Pod) error {
	return w.World.RemovePod(p.Namespace, p.Name)
}

func (w world) Break(context.Context) error {
	w.World.Break()
	return nil
}

func (w world) Resolve(_ context.Context, p backendtest.Pod, name string) ([]string, error) {
	return w.World.Resolve(p.Namespace, name), nil
}

func (w world) Harm(_ context.Context, p backendtest.Pod, harm backendtest.Harm) (func(context.Context) error, error) {
	switch harm {
	case backendtest.HarmAddress:
		return noHarm, w.LoseAddresses(p.Namespace, p.Name)
	case backendtest.HarmWipe:
		return noHarm, w.Wipe(p.Namespace, p.Name)
	}
	return nil, errors.ErrUnsupported
}

// noHarm can be seen beyond what the contract looks at itself.
func noHarm(context.Context) error { return nil }

func (w world) Rebuild(context.Context, string) error { return errors.ErrUnsupported }

func (w world) Connect(context.Context, backendtest.Pod, backendtest.Pod, int) (bool, error) {
	return false, errors.ErrUnsupported
}
