package podman

import (
	"context"
	"testing"

	"mockup.dev/mockup/manifests"
)

// TestOthersAreNotBusyForUs: two stacks of the same name in different namespaces have workloads of the same name. One whose pod
// was being played counted as an old pod of the other, which then waited for it until the next resync.
func TestOthersAreNotBusyForUs(t *testing.T) {
	ours := manifests.Owner{Kind: "MockupStack", Namespace: "ours", Name: "mockup"}
	theirs := manifests.Owner{Kind: "MockupStack", Namespace: "theirs", Name: "mockup"}
	deployment := manifests.Ref{Kind: "Deployment", Name: "mockup-app"}
	done := make(chan struct{})
	tasks := newTasks(func(manifests.Owner) {})
	for _, owner := range []manifests.Owner{ours, theirs} {
		tasks.start(owner, owner.Namespace+"-mockup-app-0", work{action: playPod, ref: deployment}, func(context.Context) error {
			<-done
			return nil
		})
	}
	defer close(done)
	if busy := tasks.busy(ours); len(busy) != 1 || busy["ours-mockup-app-0"].ref != deployment {
		t.Errorf("pods of ours that are being worked on: %v, want ours-mockup-app-0 alone", busy)
	}
}
