package manifests

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// TestOnlyWhoMountsARestoredVolumeStops: nothing but the number of replicas changes, so that what starts again is what ran.
func TestOnlyWhoMountsARestoredVolumeStops(t *testing.T) {
	c := readCase(t, "testdata/restoring.in.yaml")
	replicasOf := func(f StackFacts) map[string]int32 {
		set, err := Stack(c.stack, f)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]int32{}
		for _, o := range set.Objects {
			if d, ok := o.(*appsv1.Deployment); ok {
				out[d.Name] = *d.Spec.Replicas
			}
		}
		return out
	}
	without := c.facts
	without.Restoring = nil
	usual, restoring := replicasOf(without), replicasOf(c.facts)
	want := map[string][2]int32{"mockup-mime-server": {1, 0}, "mockup-reader": {3, 0}, "mockup-bystander": {1, 1}}
	for name, n := range want {
		if usual[name] != n[0] || restoring[name] != n[1] {
			t.Errorf("%s has %d replicas, and %d while the volume is restored; want %v", name, usual[name], restoring[name], n)
		}
	}
}

func TestRestoringAmongPolicies(t *testing.T) {
	stack := &v1alpha1.MockupStack{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "mockup"}}
	stack.Spec.Volumes = []v1alpha1.Volume{{Name: "other"}, {Name: "files"}}
	policy := func(name, claim string, phase v1alpha1.RestorePhase) v1alpha1.BackupPolicy {
		p := v1alpha1.BackupPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
		if phase != "" {
			p.Status.Restore = &v1alpha1.InPlaceRestore{ID: "a", Volume: "files", Claim: claim, Phase: phase, StartedAt: metav1.NewTime(time.Unix(17, 0))}
		}
		return p
	}
	on := []v1alpha1.RestorePhase{
		v1alpha1.RestoreStoppingServices, v1alpha1.RestoreTakingSafetySnapshot, v1alpha1.RestoreRestoring, v1alpha1.RestoreComparing, v1alpha1.RestoreRollingBack,
	}
	for _, phase := range append(on, v1alpha1.RestoreSucceeded, v1alpha1.RestoreRolledBack, v1alpha1.RestoreFailed, "") {
		got := RestoringAmong(stack, []v1alpha1.BackupPolicy{policy("files", "mockup-files", phase), policy("else", "other-files", phase)}, true)
		if !slices.Contains(on, phase) {
			if len(got) != 0 {
				t.Errorf("%q: %+v still waits", phase, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Volume != "files" || got[0].For() != "default/files/a-17" {
			t.Errorf("%q: got %+v", phase, got)
		}
	}
}

// TestVolumesThatStacksShare: who restores one of two volumes that are one stops the services of both.
func TestVolumesThatStacksShare(t *testing.T) {
	stack := func(namespace, name, existing string) *v1alpha1.MockupStack {
		return &v1alpha1.MockupStack{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       v1alpha1.MockupStackSpec{Volumes: []v1alpha1.Volume{{Name: "files", Existing: existing}}},
		}
	}
	for _, c := range []struct {
		a, b          *v1alpha1.MockupStack
		host, cluster bool
	}{
		{stack("a", "one", ""), stack("a", "one", ""), true, true},
		{stack("a", "one", ""), stack("a", "two", ""), false, false},
		{stack("a", "one", ""), stack("b", "one", ""), false, false},
		{stack("a", "one", ""), stack("b", "two", "a-one-files"), true, false},
		{stack("a", "one", ""), stack("a", "two", "one-files"), false, true},
		{stack("a", "one", "a-two-files"), stack("a", "two", ""), true, false},
		{stack("a", "one", "mime-storage"), stack("a", "two", "mime-storage"), true, true},
		{stack("a", "one", "mime-storage"), stack("b", "one", "mime-storage"), true, false},
		{stack("a", "one", "mime_storage"), stack("b", "two", "mime-storage"), false, false},
	} {
		p := &v1alpha1.BackupPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: c.a.Namespace, Name: "p"}}
		p.Status.Restore = &v1alpha1.InPlaceRestore{Phase: v1alpha1.RestoreRestoring}
		p.Status.Restore.Claim, p.Status.Restore.Adopted = StackClaim(c.a, "files")
		for oneHost, want := range map[bool]bool{true: c.host, false: c.cluster} {
			if got := len(RestoringAmong(c.b, []v1alpha1.BackupPolicy{*p}, oneHost)) == 1; got != want {
				t.Errorf("%s/%s %q and %s/%s %q, on one host %t: shared %t", c.a.Namespace, c.a.Name, c.a.Spec.Volumes[0].Existing, c.b.Namespace, c.b.Name, c.b.Spec.Volumes[0].Existing, oneHost, got)
			}
		}
	}
}
