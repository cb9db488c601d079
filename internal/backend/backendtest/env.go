package backendtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// env is what a case works with: one owner on one backend, and the second client.
type env struct {
	T
	*gomega.WithT
	fixture
	h     Harness
	b     backend.Backend
	world World
}

func newEnv(t T, h Harness) *env {
	b, world := h.New(t)
	e := &env{T: t, WithT: gomega.NewWithT(t), h: h, b: b, world: world, fixture: newFixture(h.Namespaces[0], h.Image)}
	e.leaveNothing()
	return e
}

// sibling is another owner on the same backend.
func (e *env) sibling(namespace string) *env {
	s := *e
	s.fixture = newFixture(namespace, e.h.Image)
	s.leaveNothing()
	return &s
}

// leaveNothing asks for the removal of the owner when the case is over, so that a shared world doesn't fill up.
func (e *env) leaveNothing() {
	owner := e.owner
	e.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.Context()), e.h.Timeout)
		defer cancel()
		for ctx.Err() == nil {
			seen, err := e.b.Apply(ctx, manifests.Removal(owner))
			if err != nil || !slices.ContainsFunc(seen.Objects, notRetained) {
				return
			}
			time.Sleep(e.h.Poll)
		}
	})
}

func notRetained(s backend.State) bool { return s.Reason != backend.ReasonRetained }

// try applies set and holds the backend to the time an Apply may take.
func (e *env) try(ctx context.Context, set manifests.Set) (backend.Observation, error) {
	e.Helper()
	start := time.Now()
	seen, err := e.b.Apply(ctx, set)
	if took := time.Since(start); took > e.h.ApplyLimit {
		e.Fatalf("Apply took %s, but never waits", took.Round(time.Millisecond))
	}
	return seen, err
}

func (e *env) apply(set manifests.Set) backend.Observation {
	e.Helper()
	seen, err := e.try(e.Context(), set)
	if err != nil {
		e.Fatalf("applying the set of %s: %v", set.Owner, err)
	}
	return seen
}

// settle applies set until enough has no more complaint.
func (e *env) settle(set manifests.Set, enough func(backend.Observation) error) backend.Observation {
	e.Helper()
	var seen backend.Observation
	e.eventually(func() error {
		seen = e.apply(set)
		return enough(seen)
	}, func() string { return describe(seen) })
	return seen
}

// eventually repeats check until it has no more complaint; explain adds what was seen last to the failure.
func (e *env) eventually(check func() error, explain ...func() string) {
	e.Helper()
	deadline := time.Now().Add(e.h.Timeout)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			for _, f := range explain {
				err = fmt.Errorf("%w\n%s", err, f())
			}
			e.Fatalf("not within %s: %v", e.h.Timeout, err)
		}
		time.Sleep(e.h.Poll)
	}
}

// ready applies set until each of its objects is as wanted and nothing else is left, and has the second client confirm it.
func (e *env) ready(set manifests.Set) backend.Observation {
	e.Helper()
	seen := e.settle(set, func(o backend.Observation) error { return isSettled(set, o) })
	e.eventually(func() error { return e.confirm(set) })
	return seen
}

// isSettled complains about the first object that is missing, not as wanted, or too many.
func isSettled(set manifests.Set, o backend.Observation) error {
	wanted := map[manifests.Ref]bool{}
	for _, object := range set.Objects {
		ref := manifests.RefOf(object)
		wanted[ref] = true
		state, found := o.Find(ref)
		if !found {
			return fmt.Errorf("the observation has no state of %s", ref)
		}
		if state.Phase != backend.Ready && state.Phase != backend.Succeeded {
			return fmt.Errorf("%s is %s: %s %s", ref, state.Phase, state.Reason, state.Message)
		}
		if state.Ready < state.Desired {
			return fmt.Errorf("%s is called %s with %d of %d pods ready", ref, state.Phase, state.Ready, state.Desired)
		}
	}
	for _, state := range o.Objects {
		if !wanted[state.Ref] && state.Reason != backend.ReasonRetained {
			return fmt.Errorf("%s is still there: %s", state.Ref, state.Phase)
		}
	}
	return nil
}

// confirm asks the second client whether set runs.
func (e *env) confirm(set manifests.Set) error {
	for _, object := range set.Objects {
		ref := manifests.RefOf(object)
		if d, ok := object.(*appsv1.Deployment); ok {
			if have := len(e.readyPods(ref)); have != int(*d.Spec.Replicas) {
				return fmt.Errorf("the second client sees %d ready pods of %s, not %d", have, ref, *d.Spec.Replicas)
			}
		}
		if !slices.Contains(e.h.Can.Things, ref.Kind) || isRules(object) {
			continue
		}
		if _, found := e.find(ref); !found {
			return fmt.Errorf("the second client sees no %s", ref)
		}
	}
	return nil
}

// isRules tells whether object is a policy that describes no network: it exists by itself on a cluster only.
func isRules(object manifests.Object) bool {
	p, is := object.(*networkingv1.NetworkPolicy)
	return is && p.Annotations[manifests.AnnotationSubnet] == ""
}

// pods of a workload as the second client sees them.
func (e *env) pods(workload manifests.Ref) []Pod {
	e.Helper()
	all, err := e.world.Pods(e.Context(), e.owner)
	if err != nil {
		e.Fatalf("the second client can't list pods: %v", err)
	}
	return slices.DeleteFunc(all, func(p Pod) bool { return p.Workload != workload })
}

func (e *env) readyPods(workload manifests.Ref) []Pod {
	e.Helper()
	return slices.DeleteFunc(e.pods(workload), func(p Pod) bool { return !p.Ready || p.Terminating })
}

// onlyPod of a workload that has come to rest.
func (e *env) onlyPod(workload manifests.Ref) Pod {
	e.Helper()
	pods := e.pods(workload)
	if len(pods) != 1 {
		e.Fatalf("the second client sees %d pods of %s, not 1", len(pods), workload)
	}
	return pods[0]
}

// ids of all pods and containers of a workload, in order.
func (e *env) ids(workload manifests.Ref) []string {
	e.Helper()
	var ids []string
	for _, p := range e.pods(workload) {
		ids = append(ids, p.IDs...)
	}
	slices.Sort(ids)
	return ids
}

func (e *env) things() []Thing {
	e.Helper()
	things, err := e.world.Things(e.Context(), e.owner)
	if err != nil {
		e.Fatalf("the second client can't list things: %v", err)
	}
	return things
}

func (e *env) find(ref manifests.Ref) (Thing, bool) {
	e.Helper()
	thing, found, err := e.world.Find(e.Context(), e.owner.Namespace, ref)
	if err != nil {
		e.Fatalf("the second client can't look for %s: %v", ref, err)
	}
	return thing, found
}

// mustFind is find for what has to be there.
func (e *env) mustFind(ref manifests.Ref) Thing {
	e.Helper()
	thing, found := e.find(ref)
	if !found {
		e.Fatalf("the second client sees no %s", ref)
	}
	return thing
}

func (e *env) shows(kind string) bool { return slices.Contains(e.h.Can.Things, kind) }

func (e *env) writes() int {
	e.Helper()
	n, err := e.world.Writes(e.Context())
	if err != nil {
		e.Fatalf("the second client can't count writes: %v", err)
	}
	return n
}

// must fails the case when the world could not do as told.
func (e *env) must(what string, err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("%s: %v", what, err)
	}
}

// close what a case has opened.
func (e *env) close(c io.Closer) {
	e.Helper()
	e.must("closing", c.Close())
}

// gone complains while the second client still sees pods of a workload.
func (e *env) gone(workload manifests.Ref) error {
	e.Helper()
	if n := len(e.pods(workload)); n > 0 {
		return fmt.Errorf("the second client still sees %d pods of %s", n, workload)
	}
	return nil
}

func describe(o backend.Observation) string {
	var b strings.Builder
	b.WriteString("observed last:")
	for _, s := range o.Objects {
		fmt.Fprintf(&b, "\n  %s %s %s (%d/%d ready) %s", s.Ref, s.Phase, s.Reason, s.Ready, s.Desired, s.Message)
	}
	for _, r := range o.Refused {
		fmt.Fprintf(&b, "\n  refused: %s %s: %s", r.Ref, r.Path, r.Reason)
	}
	return b.String()
}

var errNothingSaid = errors.New("the observation says nothing of it")
