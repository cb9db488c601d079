package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/memory"
	"mockup.dev/mockup/manifests"
)

var errInjected = errors.New("injected")

// web is a set of one Deployment with one pod.
func web(name string) manifests.Set {
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: name + "-web"},
	}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Image: image}}
	owner := manifests.Owner{Kind: "MockupStack", Namespace: "default", Name: name}
	return manifests.Set{Owner: owner, Objects: []manifests.Object{d}}
}

// phase applies set and returns the phase of its first object.
func phase(t *testing.T, b backend.Backend, set manifests.Set) backend.Phase {
	t.Helper()
	seen, err := b.Apply(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	return seen.Objects[0].Phase
}

func expect[V comparable](t *testing.T, what string, got, want V) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}

func untilReady(t *testing.T, b backend.Backend, set manifests.Set) {
	t.Helper()
	for range 5 {
		if phase(t, b, set) == backend.Ready {
			return
		}
	}
	t.Fatalf("%s is not ready after five looks", set.Owner)
}

func TestTheNthApplyFailsAndDoesNothing(t *testing.T) {
	w := memory.NewWorld()
	b, set := memory.New(w), web("a")
	w.FailApply(2, errInjected)
	phase(t, b, set)
	writes := w.Writes()
	set.Objects = append(set.Objects, web("other").Objects...)
	_, err := b.Apply(t.Context(), set)
	expect(t, "the injected error comes back", errors.Is(err, errInjected), true)
	expect(t, "writes", w.Writes(), writes)
	phase(t, b, set)
}

func TestADelayedApplyEndsWithItsContext(t *testing.T) {
	w := memory.NewWorld()
	w.DelayApply(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := memory.New(w).Apply(ctx, web("a"))
	expect(t, "the error is that of the context", errors.Is(err, context.DeadlineExceeded), true)
	expect(t, "writes", w.Writes(), 0)
}

func TestTimeStandsStillWhileFrozen(t *testing.T) {
	w := memory.NewWorld()
	b, set := memory.New(w), web("a")
	w.Freeze()
	for range 3 {
		if got := phase(t, b, set); got == backend.Ready {
			t.Fatal("ready while time stands still")
		}
	}
	w.Pass()
	expect(t, "running and not yet ready", phase(t, b, set), backend.Progressing)
	w.Pass()
	expect(t, "after it was ready", phase(t, b, set), backend.Ready)
}

func TestAnImageOnHoldIsNotReady(t *testing.T) {
	w := memory.NewWorld()
	b, set := memory.New(w), web("a")
	untilReady(t, b, set)
	w.Hold(image, true)
	expect(t, "on hold", phase(t, b, set), backend.NotReady)
	w.Hold(image, false)
	untilReady(t, b, set)
}

func TestAnImageThatComesBackIsTakenUp(t *testing.T) {
	w := memory.NewWorld()
	b, set := memory.New(w), web("a")
	w.Missing(image, true)
	expect(t, "without its image", phase(t, b, set), backend.Failed)
	w.Missing(image, false)
	untilReady(t, b, set)
}

func TestDroppedChangesAreNotReported(t *testing.T) {
	w := memory.NewWorld()
	b, set := memory.New(w), web("a")
	changes := b.Changes(t.Context())
	w.DropChanges(true)
	untilReady(t, b, set)
	w.DropChanges(false)
	other := web("b")
	phase(t, b, other)
	expect(t, "the first owner reported", (<-changes).Name, "b")
}

// TestAThousandStacks is what the tests of the operator's scale stand on.
func TestAThousandStacks(t *testing.T) {
	const stacks, limit = 1000, 5 * time.Second
	w := memory.NewWorld()
	b := memory.New(w)
	changes := b.Changes(t.Context())
	start := time.Now()
	sets := map[string]manifests.Set{}
	for i := range stacks {
		set := web(fmt.Sprintf("stack%d", i))
		sets[set.Owner.String()] = set
		phase(t, b, set)
	}
	for ready := map[string]bool{}; len(ready) < stacks; {
		owner := <-changes
		if phase(t, b, sets[owner.String()]) == backend.Ready {
			ready[owner.String()] = true
		}
	}
	took := time.Since(start)
	t.Logf("%d stacks are ready after %s", stacks, took)
	if took > limit {
		t.Errorf("%d stacks took %s, more than %s", stacks, took, limit)
	}
}
