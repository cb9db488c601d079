package kubernetes_test

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/kubernetes"
	"mockup.dev/mockup/manifests"
)

// TestWhatOthersOwnStaysTheirs: fields that other managers have set on our objects are neither removed nor fought over.
func TestWhatOthersOwnStaysTheirs(t *testing.T) {
	w, owner, config := one(t, "shared")
	b := w.Another(t)
	set := manifests.Set{Owner: owner, Objects: []manifests.Object{config}}
	mustApply(t, b, set)
	patch := `{"metadata": {"annotations": {"theirs": "stays"}}, "data": {"theirs": "stays too"}}`
	_, err := w.objects.Resource(resources["ConfigMap"]).Namespace(owner.Namespace).
		Patch(t.Context(), config.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
	if err != nil {
		t.Fatal(err)
	}
	config.Data["message"] = "changed"
	mustApply(t, b, set)
	have, err := cluster.client.CoreV1().ConfigMaps(owner.Namespace).Get(t.Context(), config.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if have.Annotations["theirs"] != "stays" || have.Data["theirs"] != "stays too" || have.Data["message"] != "changed" {
		t.Errorf("annotations %v, data %v", have.Annotations, have.Data)
	}
	managers := map[string]bool{}
	for _, m := range have.ManagedFields {
		managers[m.Manager+"/"+string(m.Operation)] = true
	}
	if !managers[kubernetes.FieldManager+"/Apply"] || len(managers) != 2 {
		t.Errorf("the managers are %v", managers)
	}
}

// TestWhoOwnsIsWritten: everything but retained claims refers to the resource with the UID of the owner.
func TestWhoOwnsIsWritten(t *testing.T) {
	w, owner, config := one(t, "owned")
	owner.UID = "7f8b1c9e-0000-4000-8000-000000000001"
	claims := map[string]*corev1.PersistentVolumeClaim{}
	objects := []manifests.Object{config}
	for _, reclaim := range []string{"Retain", "Delete"} {
		claims[reclaim] = claim(owner, reclaim)
		objects = append(objects, claims[reclaim])
	}
	mustApply(t, w.Another(t), manifests.Set{Owner: owner, Objects: objects})
	for _, object := range objects {
		thing, err := w.objects.Resource(resources[manifests.RefOf(object).Kind]).Namespace(owner.Namespace).
			Get(t.Context(), object.GetName(), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		refers := slices.ContainsFunc(thing.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == owner.UID })
		if refers == (object == manifests.Object(claims["Retain"])) {
			t.Errorf("%s has the owner references %v", manifests.RefOf(object), thing.GetOwnerReferences())
		}
	}
}

// TestAPodmanVolumeIsNotReplacedByAnEmptyOne: a claim that adopts a volume of Podman is refused and not made.
func TestAPodmanVolumeIsNotReplacedByAnEmptyOne(t *testing.T) {
	w, owner, _ := one(t, "adopted")
	c := claim(owner, "Retain")
	c.Annotations = map[string]string{manifests.AnnotationExisting: "mime_storage"}
	seen := mustApply(t, w.Another(t), manifests.Set{Owner: owner, Objects: []manifests.Object{c}})
	state, _ := seen.Find(manifests.RefOf(c))
	if state.Phase != backend.Failed || state.Reason != backend.ReasonMissing || len(seen.Refused) != 1 {
		t.Errorf("observed %+v", seen)
	}
	if _, found, err := w.Find(t.Context(), owner.Namespace, manifests.RefOf(c)); found || err != nil {
		t.Errorf("there is such a claim now, or %v", err)
	}
}

// TestAServerThatIsAwayIsAnError, and not a state of the objects.
func TestAServerThatIsAwayIsAnError(t *testing.T) {
	_, owner, config := one(t, "away")
	l := newLine()
	l.config.Host = "https://127.0.0.1:1"
	b, err := kubernetes.New(l.config)
	if err != nil {
		t.Fatal(err)
	}
	if seen, err := b.Apply(t.Context(), manifests.Set{Owner: owner, Objects: []manifests.Object{config}}); err == nil {
		t.Errorf("observed %+v", seen)
	}
}

// TestWhatTheServerRefusesIsAState of the one object, and the others are applied.
func TestWhatTheServerRefusesIsAState(t *testing.T) {
	w, owner, config := one(t, "invalid")
	bad := claim(owner, "Delete")
	bad.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{"Nonsense"}
	seen := mustApply(t, w.Another(t), manifests.Set{Owner: owner, Objects: []manifests.Object{bad, config}})
	state, _ := seen.Find(manifests.RefOf(bad))
	if state.Phase != backend.Failed || state.Reason != "Invalid" || state.Message == "" {
		t.Errorf("observed %+v", state)
	}
	if state, _ := seen.Find(manifests.RefOf(config)); state.Phase != backend.Ready {
		t.Errorf("observed %+v", state)
	}
}

// one is an owner with a ConfigMap.
func one(t *testing.T, name string) (*world, manifests.Owner, *corev1.ConfigMap) {
	w := &world{line: newLine(), objects: dynamic.NewForConfigOrDie(cluster.config)}
	owner := manifests.Owner{Kind: "MockupStack", Namespace: "default", Name: name}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := w.Another(t).Apply(ctx, manifests.Removal(owner)); err != nil {
			t.Errorf("removing what the test has made: %v", err)
		}
	})
	return w, owner, &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: name + "-settings", Namespace: owner.Namespace},
		Data:       map[string]string{"message": "hello"},
	}
}

func claim(owner manifests.Owner, reclaim string) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}}
	c.Name, c.Namespace = owner.Name+"-"+map[string]string{"Retain": "kept", "Delete": "scratch"}[reclaim], owner.Namespace
	c.Labels = map[string]string{manifests.LabelReclaim: reclaim}
	c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	return c
}

func mustApply(t *testing.T, b backend.Backend, set manifests.Set) backend.Observation {
	t.Helper()
	seen, err := b.Apply(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}
