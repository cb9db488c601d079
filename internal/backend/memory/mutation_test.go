package memory_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest"
	"mockup.dev/mockup/internal/backend/memory"
	"mockup.dev/mockup/manifests"
)

// mutant breaks a backend in one way; the named cases, and at least those, must find it.
type mutant struct {
	name  string
	apply func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error)
	// changes is left as it is when nil.
	changes func(m *mutated, ctx context.Context) <-chan manifests.Owner
	// resolve is what programs are answered, left as it is when nil.
	resolve func(m *mutated, pod backendtest.Pod, name string) []string
	// limit of an Apply, where its length is what is broken.
	limit time.Duration
	found []string
}

// mutated is memory with a mutant in it.
type mutated struct {
	*memory.Backend
	world *memory.World
	mutant
	mu    sync.Mutex
	seen  map[string][]manifests.Object
	count int
	names map[string][]string
}

func (m *mutated) Apply(ctx context.Context, set manifests.Set) (backend.Observation, error) {
	if m.apply == nil {
		return m.Backend.Apply(ctx, set)
	}
	return m.apply(m, ctx, set)
}

func (m *mutated) Changes(ctx context.Context) <-chan manifests.Owner {
	if m.changes == nil {
		return m.Backend.Changes(ctx)
	}
	return m.changes(m, ctx)
}

// edited applies and lets edit falsify what is reported.
func edited(edit func(*backend.Observation)) func(*mutated, context.Context, manifests.Set) (backend.Observation, error) {
	return func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		seen, err := m.Backend.Apply(ctx, set)
		edit(&seen)
		return seen, err
	}
}

var mutants = []mutant{{
	name: "never prunes",
	apply: func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		asked := map[manifests.Ref]bool{}
		for _, o := range set.Objects {
			asked[manifests.RefOf(o)] = true
		}
		if !set.Remove && len(set.Objects) > 0 {
			set.Objects = m.remember(set)
		}
		seen, err := m.Backend.Apply(ctx, set)
		seen.Objects = slices.DeleteFunc(seen.Objects, func(s backend.State) bool { return !set.Remove && !asked[s.Ref] })
		return seen, err
	},
	found: []string{
		"what a new set no longer names is removed, and the rest left alone",
		"every live object is reported, those on their way out included",
	},
}, {
	name: "reports ready always",
	apply: edited(func(o *backend.Observation) {
		for i := range o.Objects {
			o.Objects[i].Phase, o.Objects[i].Ready = backend.Ready, o.Objects[i].Desired
		}
	}),
	found: []string{
		"what a set names is created, and called ready only once the second client sees it ready",
		"a workload that never answers its readiness probe is never called ready",
		"a missing image is named as the reason",
		"a program that ends is reported with its exit code and never called ready",
	},
}, {
	name: "ignores owners and takes what it names",
	apply: func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		for _, o := range set.Objects {
			held, found := m.world.Find(set.Owner.Namespace, manifests.RefOf(o))
			if found && !held.Owner.Is(set.Owner) {
				m.world.Plant(set.Owner, o)
			}
		}
		return m.Backend.Apply(ctx, set)
	},
	found: []string{
		"what another owner holds by the same name is never touched, and the taker is told",
		"what nobody known holds by the same name is never touched, and the taker is told",
		"a Service name that another owner holds is refused to the second",
	},
}, {
	name: "ignores owners and removes everybody's",
	apply: func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		if set.Remove {
			for _, owner := range m.world.Owners() {
				if _, err := m.Backend.Apply(ctx, manifests.Removal(owner)); err != nil {
					return backend.Observation{}, err
				}
			}
		}
		return m.Backend.Apply(ctx, set)
	},
	found: []string{
		"two owners live side by side, and the removal of one leaves the other alone",
		"two owners of the same name in two namespaces live side by side",
	},
}, {
	name: "makes all pods anew whenever anything changes",
	apply: func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		before := m.world.Writes()
		seen, err := m.Backend.Apply(ctx, set)
		if m.world.Writes() != before {
			for _, p := range m.world.Pods(set.Owner) {
				if p.Ready {
					_ = m.world.RemovePod(p.Namespace, p.Name)
				}
			}
		}
		return seen, err
	},
	found: []string{
		"a change of one workload leaves the pods of the others alone",
		"a roll-out has a ready pod at every moment",
	},
}, {
	name: "writes what is unchanged",
	apply: func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		for _, o := range set.Objects {
			_ = m.world.Edit(set.Owner, manifests.RefOf(o), func(o manifests.Object) { o.SetGeneration(1) })
		}
		return m.Backend.Apply(ctx, set)
	},
	found: []string{"an unchanged set changes nothing", "a Job runs once and is called succeeded"},
}, {
	name: "takes an empty set for a removal",
	apply: func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		set.Remove = set.Remove || len(set.Objects) == 0
		return m.Backend.Apply(ctx, set)
	},
	found: []string{"an empty set is an error and touches nothing"},
}, {
	name: "forgets what is on its way out",
	apply: edited(func(o *backend.Observation) {
		o.Objects = slices.DeleteFunc(o.Objects, func(s backend.State) bool { return s.Phase == backend.Terminating })
	}),
	found: []string{"every live object is reported, those on their way out included"},
}, {
	name: "removes retained claims",
	apply: func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		for _, th := range m.world.Things(set.Owner) {
			if set.Remove && th.Ref.Kind == "PersistentVolumeClaim" {
				_ = m.world.Edit(set.Owner, th.Ref, func(o manifests.Object) { o.SetLabels(nil) })
			}
		}
		return m.Backend.Apply(ctx, set)
	},
	found: []string{
		"removal takes all but the retained claims, says so, and can be repeated",
		"a retained claim is taken up again, with its data, by its owner's next set",
	},
}, {
	name: "does not say what is retained",
	apply: edited(func(o *backend.Observation) {
		o.Objects = slices.DeleteFunc(o.Objects, func(s backend.State) bool { return s.Reason == backend.ReasonRetained })
	}),
	found: []string{"a retained claim that a new set no longer names stays and is reported as retained"},
}, {
	name:  "drops refusals",
	apply: edited(func(o *backend.Observation) { o.Refused = nil }),
	found: []string{"what the backend does not do as written is refused with its path"},
}, {
	name: "waits in Apply",
	apply: func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		time.Sleep(150 * time.Millisecond)
		return m.Backend.Apply(ctx, set)
	},
	limit: 100 * time.Millisecond,
	found: []string{"an unchanged set changes nothing"},
}, {
	name: "ignores the end of its context",
	apply: func(m *mutated, ctx context.Context, set manifests.Set) (backend.Observation, error) {
		return m.Backend.Apply(context.WithoutCancel(ctx), set)
	},
	found: []string{"an Apply whose context has ended says so and touches nothing"},
}, {
	name: "misses changes",
	changes: func(_ *mutated, ctx context.Context) <-chan manifests.Owner {
		silent := make(chan manifests.Owner)
		context.AfterFunc(ctx, func() { close(silent) })
		return silent
	},
	found: []string{
		"changes alone, without looking in between, lead from the first Apply to ready",
		"a killed program is reported as a change and runs again",
		"a pod that was removed is reported as a change and replaced",
		"what was edited from outside is reported as a change and mended",
		"whoever begins to listen is told of every owner there is",
		"after a broken connection every owner is reported, and later changes too",
	},
}, {
	name: "never closes its channel",
	changes: func(m *mutated, ctx context.Context) <-chan manifests.Owner {
		return m.Backend.Changes(context.WithoutCancel(ctx))
	},
	found: []string{"the channel of changes is closed when its context ends"},
}}

// remember adds the objects of set to all that were ever named, the newest form of each.
func (m *mutated) remember(set manifests.Set) []manifests.Object {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := set.Owner.String()
	for _, o := range set.Objects {
		m.seen[name] = slices.DeleteFunc(m.seen[name], func(p manifests.Object) bool {
			return manifests.RefOf(p) == manifests.RefOf(o)
		})
		m.seen[name] = append(m.seen[name], o)
	}
	return slices.Clone(m.seen[name])
}

// TestTheContractFindsWhatIsBroken is the test of the suite itself: whoever breaks a promise does not pass.
func TestTheContractFindsWhatIsBroken(t *testing.T) {
	for _, broken := range slices.Concat(mutants, deafToFields, brokenNames) {
		t.Run("a backend that "+broken.name, func(t *testing.T) {
			t.Parallel()
			h := harness()
			h.Timeout, h.ApplyLimit = 200*time.Millisecond, broken.limit
			original := h.New
			h.New = func(t backendtest.T) (backend.Backend, backendtest.World) {
				b, second := original(t)
				m := &mutated{
					Backend: b.(*memory.Backend), world: second.(world).World, mutant: broken,
					seen: map[string][]manifests.Object{}, names: map[string][]string{},
				}
				return m, another{second.(world), m}
			}
			for _, name := range broken.found {
				if why := verdict(t, name, h); why == "" {
					t.Errorf("it passes: %s", name)
				} else {
					t.Logf("%s: %s", name, why)
				}
			}
		})
	}
}

// TestTheContractFindsNothingWhereNothingIsBroken shows that the failures above come from the mutants.
func TestTheContractFindsNothingWhereNothingIsBroken(t *testing.T) {
	for _, c := range backendtest.Cases() {
		if c.Without != nil && c.Without(harness()) != "" {
			continue
		}
		if why := verdict(t, c.Name, harness()); why != "" {
			t.Errorf("%s: %s", c.Name, why)
		}
	}
}

// another world whose second instance of the backend is as broken as the first.
type another struct {
	world
	m *mutated
}

func (a another) Another(backendtest.T) backend.Backend { return a.m }

func (a another) Resolve(ctx context.Context, pod backendtest.Pod, name string) ([]string, error) {
	if a.m.resolve == nil {
		return a.world.Resolve(ctx, pod, name)
	}
	return a.m.resolve(a.m, pod, name), nil
}

// verdict is why the case of that name fails; empty when it passes.
func verdict(t *testing.T, name string, h backendtest.Harness) string {
	t.Helper()
	cases := backendtest.Cases()
	i := slices.IndexFunc(cases, func(c backendtest.Case) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("the contract has no case %q", name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &recorder{ctx: ctx, name: name}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cases[i].Run(r, h)
	}()
	<-done
	cancel()
	for _, cleanup := range slices.Backward(r.cleanups) {
		cleanup()
	}
	return r.failure
}

// recorder is a T that keeps the failure to itself.
type recorder struct {
	ctx      context.Context //nolint:containedctx // that of the case, as testing.T has one
	name     string
	failure  string
	cleanups []func()
}

func (r *recorder) Helper()                  {}
func (r *recorder) Logf(string, ...any)      {}
func (r *recorder) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Name() string             { return r.name }

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
