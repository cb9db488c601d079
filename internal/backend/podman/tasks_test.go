package podman

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

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

// TestRetriesDelayNobodyElse: the pods of a stack that can't be had were tried again and again in all the slots, while a
// change of another stack waited for one.
func TestRetriesDelayNobodyElse(t *testing.T) {
	broken := manifests.Owner{Kind: "MockupStack", Namespace: "broken", Name: "mockup"}
	well := manifests.Owner{Kind: "MockupStack", Namespace: "well", Name: "mockup"}
	ended := make(chan manifests.Owner, 2*parallel+1)
	tasks := newTasks(func(o manifests.Owner) { ended <- o })
	begun, held := make(chan struct{}, 2*parallel), make(chan struct{})
	defer close(held)
	for round := range 2 {
		for i := range 2 * parallel {
			tasks.start(broken, fmt.Sprint("pod-", i), work{action: playPod, hash: "same"}, func(context.Context) error {
				if round > 0 {
					begun <- struct{}{}
					<-held
				}
				return errors.New("can't be had")
			})
		}
		if round == 0 {
			for range 2 * parallel {
				<-ended
			}
		}
	}
	for waiting := true; waiting; { // until no more of them are tried at once
		select {
		case <-begun:
		case <-time.After(100 * time.Millisecond):
			waiting = false
		}
	}
	tasks.start(well, "another", work{action: playPod}, func(context.Context) error { return nil })
	select {
	case o := <-ended:
		if !o.Is(well) {
			t.Errorf("%s ended first", o)
		}
	case <-time.After(time.Second):
		t.Error("a task of another owner waits for the retries of a broken one")
	}
}

// TestWorkIsSharedFairly: whoever has many pods to play, as two stacks that are brought up, has the others wait for one of
// them and not for all.
func TestWorkIsSharedFairly(t *testing.T) {
	first := manifests.Owner{Kind: "MockupStack", Namespace: "first", Name: "mockup"}
	second := manifests.Owner{Kind: "MockupStack", Namespace: "second", Name: "mockup"}
	s := newSlots(2)
	had := make(chan func(), 2)
	order := make(chan manifests.Owner, 6)
	wait := func(o manifests.Owner, waiting int) {
		go func() {
			giveBack := s.take(o)
			order <- o
			had <- giveBack
		}()
		for {
			s.mu.Lock()
			n := len(s.waiting)
			s.mu.Unlock()
			if n >= waiting {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	for i := range 5 {
		wait(first, i-1)
	}
	wait(second, 4)
	var got []manifests.Owner
	for range 6 {
		got = append(got, <-order)
		if len(got) >= 2 {
			giveBack := <-had
			giveBack()
			giveBack() // for nothing: there would be one slot more for each
		}
	}
	if want := []manifests.Owner{first, first, second, first, first, first}; !slices.Equal(got, want) {
		t.Errorf("slots went to %v, want %v", got, want)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(had) > 0 {
		<-had
	}
	if s.free > 2 {
		t.Errorf("%d slots are free of 2", s.free)
	}
}
