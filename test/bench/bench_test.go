// Package bench measures mockup side by side with plain `podman kube play`, and its background programs at rest.
//
//	make bench
//	hack/test bench -pairs 15 -idle 2m
//
// It ends with a table, leaves the same figures in bin/test/bench.json, and fails when a bound does not hold.
package bench

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mockup.dev/mockup/test/stacktest"
)

var (
	pairs  = flag.Int("pairs", 7, "how many times mockup and plain kube play are measured in turn; at least 7 count")
	noOps  = flag.Int("noops", 50, "how many times an unchanged stack is applied")
	settle = flag.Duration("settle", 15*time.Second, "how long the programs have to come to rest")
	window = flag.Duration("idle", 60*time.Second, "how long the programs are watched at rest; at least 30s count")
)

func TestBench(t *testing.T) {
	if *pairs < 7 || *noOps < 1 || *window < 30*time.Second {
		t.Error("fewer pairs than 7, or less idle time than 30 s: the figures are no evidence")
	}
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Minute))
		defer cancel()
	}
	s, err := stacktest.New()
	if err != nil {
		t.Fatal(err)
	}
	r, err := measure(ctx, s, t.Logf)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Logs())
	}
	r.judge()
	r.print(os.Stdout)
	if err := r.save(filepath.Join(s.Bin, "test", "bench.json")); err != nil {
		t.Error(err)
	}
	if broken := r.broken(); len(broken) > 0 {
		t.Errorf("bounds that do not hold:\n  %s", strings.Join(broken, "\n  "))
	}
}

// measure does all of it on one stack, which it removes.
func measure(ctx context.Context, s *stacktest.Stack, say func(string, ...any)) (*Report, error) {
	r := &Report{Load: []string{load()}, IdleWindow: *window}
	var err error
	if err = s.Start(ctx); err != nil {
		return nil, err
	}
	if r.Pairs, err = measurePairs(ctx, s, *pairs, say); err != nil {
		return nil, err
	}
	if err = s.Up(ctx); err != nil {
		return nil, err
	}
	if r.Idle, err = measureIdle(ctx, s, *settle, *window); err != nil {
		return nil, err
	}
	if r.NoOp, err = measureNoOp(ctx, s, *noOps); err != nil {
		return nil, err
	}
	r.Load = append(r.Load, load())
	return r, s.Purge(ctx)
}
