package backendtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier
	"golang.org/x/sync/errgroup"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var callCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name: "an Apply whose context has ended says so and touches nothing",
	run: func(e *env) {
		set, refs := e.ordinary()
		e.ready(set)
		before, writes := e.snapshot(refs), e.writes()
		ctx, cancel := context.WithCancel(e.Context())
		cancel()
		_, err := e.try(ctx, e.set(e.deployment("other")))
		e.Expect(errors.Is(err, context.Canceled)).To(BeTrue(), "the error is %v", err)
		e.Expect(e.snapshot(refs)).To(Equal(before))
		e.Expect(e.writes()).To(Equal(writes))
	},
}, {
	Name: "many owners can be applied at once",
	run: func(e *env) {
		heard := e.listen()
		var group errgroup.Group
		var envs []*env
		var sets []manifests.Set
		for i := range e.h.Many {
			other := e.sibling(e.h.Namespaces[i%2])
			set, _ := other.ordinary()
			envs, sets = append(envs, other), append(sets, set)
			group.Go(func() error { return other.untilSettled(set) })
		}
		e.Expect(group.Wait()).To(Succeed())
		for i, other := range envs {
			e.eventually(func() error { return other.confirm(sets[i]) })
			e.eventually(func() error { return heard.heard(other.owner) })
		}
	},
}, {
	Name: "the same owner can be applied twice at once",
	run: func(e *env) {
		set, _ := e.ordinary()
		var group errgroup.Group
		for range 2 {
			group.Go(func() error { return e.untilSettled(set) })
		}
		e.Expect(group.Wait()).To(Succeed())
		e.ready(set)
	},
}}

// untilSettled is settle for goroutines, which may not fail the case themselves.
func (e *env) untilSettled(set manifests.Set) error {
	ctx, cancel := context.WithTimeout(e.Context(), e.h.Timeout)
	defer cancel()
	var seen backend.Observation
	for {
		var err error
		if seen, err = e.b.Apply(ctx, set); err != nil {
			return fmt.Errorf("applying the set of %s: %w", set.Owner, err)
		}
		if err = isSettled(set, seen); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w\n%s", err, describe(seen))
		case <-time.After(e.h.Poll):
		}
	}
}
