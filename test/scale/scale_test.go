// Package scale measures what a stack costs the operator when there are many, on the memory backend and a real API server.
package scale

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"
)

var (
	few   = flag.Int("few", 100, "stacks of the small operator")
	many  = flag.Int("many", 1000, "stacks of the large one")
	pairs = flag.Int("pairs", 7, "how many times both are measured in turn; at least 7 count")
)

const (
	// maxRatio of the cost of a stack among many to that of one among few.
	maxRatio = 1.3
	// workers is how many stacks the controllers look at side by side.
	workers = 4
)

// TestScale has two operators look at all their stacks, in turn. Nothing changes, so that a pass is what it costs to look.
func TestScale(t *testing.T) {
	if *pairs < 7 {
		t.Error("fewer pairs than 7: the figures are no evidence")
	}
	small, large := start(t, *few), start(t, *many)
	small.filled(t)
	large.filled(t)
	for _, c := range []*child{small, large} {
		fmt.Printf("%4d stacks were ready after %s and %d passes; heap %.1f MiB, resident %.1f MiB\n",
			c.stacks, c.first.Wall.Round(10*time.Millisecond), c.first.Passes, mebibytes(c.first.Heap), mebibytes(c.first.RSS))
	}
	var ratios []float64
	var costs [2][]time.Duration
	var last [2]result
	for i := range *pairs {
		for j := range 2 {
			which := (i + j) % 2
			c := []*child{small, large}[which]
			cost, r := c.cost(t, *many)
			costs[which], last[which] = append(costs[which], cost), r
		}
		ratios = append(ratios, float64(costs[1][i])/float64(costs[0][i]))
	}
	fmt.Printf("CPU of a pass, median of %d: %s for a stack among %d, %s among %d; ratio within a pair %.2f (%.2f to %.2f)\n", *pairs,
		median(costs[0]), *few, median(costs[1]), *many, median(ratios), slices.Min(ratios), slices.Max(ratios))
	fmt.Printf("memory of a stack: %.1f KiB of heap, %.1f KiB resident\n",
		perStack(last[1].Heap-last[0].Heap), perStack(last[1].RSS-last[0].RSS))
	if r := median(ratios); r > maxRatio {
		t.Errorf("a stack among %d costs %.2f times that among %d, at most %.1f is allowed", *many, r, *few, maxRatio)
	}
	sideBySide(t, small)
	oneBroken(t, small)
}

// cost of a stack: CPU time of as many passes over all stacks as make up the given number, so that the clock's ticks of 10 ms
// do not show.
func (c *child) cost(t *testing.T, passes int) (time.Duration, result) {
	t.Helper()
	var used time.Duration
	var last result
	n := 0
	for n < passes {
		last = c.do(t, pass)
		used, n = used+last.CPU, n+last.Passes
	}
	return used / time.Duration(n), last
}

// sideBySide has every Apply take its time: so many at once, all take their share of it.
func sideBySide(t *testing.T, c *child) {
	t.Helper()
	r := c.do(t, slow)
	sum := time.Duration(c.stacks) * slowApply
	fmt.Printf("%d applies of %s each took %s, one after another %s\n", c.stacks, slowApply, r.Wall.Round(time.Millisecond), sum)
	if most := sum / workers * 3 / 2; r.Wall > most {
		t.Errorf("stacks were not looked at side by side: %s for all, at most %s is allowed", r.Wall, most)
	}
}

// oneBroken has the backend fail for one stack: the others must not wait for its back-off.
func oneBroken(t *testing.T, c *child) {
	t.Helper()
	var well, ill []time.Duration
	for range *pairs {
		well = append(well, c.do(t, pass).Wall)
		ill = append(ill, c.do(t, broken).Wall)
	}
	fmt.Printf("a pass over %d stacks took %s, and %s with one that fails (medians of %d)\n",
		c.stacks, median(well).Round(time.Millisecond), median(ill).Round(time.Millisecond), *pairs)
	if median(ill) > 2*median(well) {
		t.Errorf("one broken stack delays the others: %s instead of %s", median(ill), median(well))
	}
}

func perStack(bytes int64) float64 { return float64(bytes) / float64(*many-*few) / 1024 }

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
