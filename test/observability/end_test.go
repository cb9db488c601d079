package observability

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"mockup.dev/mockup/api/v1alpha1"
)

// stackDeleted takes the stack away from under its addon, which says so, stops, and keeps its data.
func (w *watched) stackDeleted(t *testing.T) {
	volumes := func() (kept []string) {
		for _, name := range strings.Fields(w.podman(t, "volume", "ls", "--quiet")) {
			if !strings.Contains(name, ".") { // others are a pod's own
				kept = append(kept, name)
			}
		}
		slices.Sort(kept)
		return kept
	}
	before := volumes()
	if len(before) < 7 {
		t.Fatalf("there are volumes %v", before)
	}
	if _, err := w.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the addon to say so, and its pods to go", patience, func() error {
		c := meta.FindStatusCondition(w.addon(t).Status.Conditions, v1alpha1.ConditionStalled)
		if c.Status != "True" || c.Reason != v1alpha1.ReasonStackNotFound {
			return fmt.Errorf("it says %+v", c)
		}
		if pods := w.podman(t, "pod", "ls", "--quiet"); pods != "" {
			return fmt.Errorf("there are pods %s", strings.Fields(pods))
		}
		return nil
	})
	if after := volumes(); !slices.Equal(before, after) {
		t.Errorf("volumes were %v and are %v", before, after)
	}
}
