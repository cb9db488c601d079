package bench

import (
	"context"
	"fmt"
	"time"

	"mockup.dev/mockup/test/stacktest"
)

// roundTimeout bounds one round with its cleaning.
const roundTimeout = 3 * time.Minute

// Pair is one round of each.
type Pair struct {
	Mockup time.Duration `json:"mockupNanoseconds"`
	Plain  time.Duration `json:"plainNanoseconds"`
}

func (p Pair) ratio() float64 { return float64(p.Mockup) / float64(p.Plain) }

// measurePairs runs n pairs, and one before that does not count: it fills the caches of both. Who begins alternates.
//
// For mockup, control plane and operator run already; its networks, Secrets and volume are made within the time. For
// plain kube play, network and Secrets are made before: the clock starts with the call of the rendered file. Nothing of
// a round is left when the next begins.
func measurePairs(ctx context.Context, s *stacktest.Stack, n int, say func(string, ...any)) ([]Pair, error) {
	p, err := newPlain(ctx, s)
	if err != nil {
		return nil, err
	}
	var pairs []Pair
	for i := 0; i <= n; i++ {
		var pair Pair
		rounds := []func() error{
			func() (err error) { pair.Mockup, err = mockupRound(ctx, s, p); return err },
			func() (err error) { pair.Plain, err = plainRound(ctx, p); return err },
		}
		for j := range rounds {
			if err := rounds[(i+j)%2](); err != nil {
				return nil, fmt.Errorf("pair %d of %d: %w", i, n, err)
			}
		}
		say("pair %d of %d: mockup %s, plain %s, ratio %.2f", i, n, pair.Mockup.Round(time.Millisecond), pair.Plain.Round(time.Millisecond), pair.ratio())
		if i > 0 {
			pairs = append(pairs, pair)
		}
	}
	return pairs, nil
}

// mockupRound applies the sample, holds Ready to its word, and removes all of it.
func mockupRound(ctx context.Context, s *stacktest.Stack, p *plain) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	took, err := s.ApplyUntilReady(ctx)
	if err != nil {
		return 0, err
	}
	if err := readyMeansUsable(ctx, s); err != nil {
		return 0, err
	}
	if _, err := s.Delete(ctx); err != nil {
		return 0, err
	}
	return took, p.clear(ctx)
}

// readyMeansUsable asks the gateway and, through it, two of the services, once.
func readyMeansUsable(ctx context.Context, s *stacktest.Stack) error {
	visitor, err := s.Visitor(ctx)
	if err != nil {
		return err
	}
	for _, path := range []string{"", "files", "intranet/readyz"} {
		if err := ok(ctx, visitor, stacktest.URL+path); err != nil {
			return fmt.Errorf("the stack said that it was ready, but: %w", err)
		}
	}
	return nil
}

func plainRound(ctx context.Context, p *plain) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	if err := p.prepare(ctx); err != nil {
		return 0, err
	}
	took, err := p.play(ctx)
	if err != nil {
		return 0, err
	}
	return took, p.clear(ctx)
}

// clear removes all pods, volumes, Secrets and networks of the sandbox.
func (p *plain) clear(ctx context.Context) error {
	for _, command := range [][]string{
		{"pod", "rm", "--all", "--force", "--time", "0"},
		{"volume", "rm", "--all", "--force"},
		{"secret", "rm", "--all"},
		{"network", "prune", "--force"},
	} {
		if _, err := p.Podman(ctx, command...); err != nil {
			return fmt.Errorf("removing what a round left: %w", err)
		}
	}
	return nil
}
