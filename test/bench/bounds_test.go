package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mockup.dev/mockup/test/stacktest"
)

// TestBounds breaks each bound once.
func TestBounds(t *testing.T) {
	good := func() *Report {
		return &Report{
			Pairs: pairsOf(11, 10),
			NoOp:  NoOp{Times: []time.Duration{time.Millisecond}, Calls: 4},
			Idle: map[string]Idle{
				stacktest.Operator:     {RSS: maxOperatorRSS, CPU: 0.01},
				stacktest.ControlPlane: {RSS: maxControlPlaneRSS, CPU: 0.01},
			},
		}
	}
	change := func(program string, by Idle) func(*Report) {
		return func(r *Report) {
			i := r.Idle[program]
			i.RSS += by.RSS
			i.CPU += by.CPU
			r.Idle[program] = i
		}
	}
	for name, broken := range map[string]func(*Report){
		"apply to Ready, ratio of the medians": func(r *Report) { r.Pairs = pairsOf(12, 10, 10, 10, 20, 20) },
		"apply to Ready, median of the ratios": func(r *Report) { r.Pairs = pairsOf(10, 8, 12, 10, 10, 20) },
		"no-op reconcile, writes to Podman":    func(r *Report) { r.NoOp.Writes = 1 },
		"operator, resident MiB":               change(stacktest.Operator, Idle{RSS: 1}),
		"control plane, resident MiB":          change(stacktest.ControlPlane, Idle{RSS: 1}),
		"both idle, % of one core":             change(stacktest.Operator, Idle{CPU: 0.001}),
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			r.judge()
			if found := r.broken(); len(found) > 0 {
				t.Fatalf("at the bounds, these are said to be broken: %v", found)
			}
			broken(r)
			r.judge()
			if found := fmt.Sprint(r.broken()); len(r.broken()) != 1 || !strings.Contains(found, name) {
				t.Errorf("broken is %s, want only %q", found, name)
			}
		})
	}
}

// pairsOf makes pairs of times in seconds: mockup, plain, mockup, plain.
func pairsOf(seconds ...time.Duration) (pairs []Pair) {
	for i := 0; i < len(seconds); i += 2 {
		pairs = append(pairs, Pair{Mockup: seconds[i] * time.Second, Plain: seconds[i+1] * time.Second})
	}
	return pairs
}
