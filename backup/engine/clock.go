package engine

import (
	"time"

	"github.com/kopia/kopia/snapshot"
)

// ahead is how far in the future a snapshot may be without being taken for the work of a clock that was wrong. What is less does
// no harm: clocks are set by so much every day.
const ahead = time.Hour

// keptAhead is the rule that keeps snapshots of the future: one of the two clocks was wrong, and nobody knows which.
const keptAhead = "ahead"

// present are the snapshots, oldest first, that are not of the future; all of them where every one is.
func (c *Config) present(all []*snapshot.Manifest) []*snapshot.Manifest {
	end := c.now().Add(ahead)
	n := len(all)
	for n > 0 && all[n-1].StartTime.ToTime().After(end) {
		n--
	}
	if n == 0 {
		return all
	}
	return all[:n]
}

// ruled tells by which rules each snapshot is kept, oldest first. Those of the future count for no rule, and stay until their
// time has come: else they would take the place of what is made today.
func (c *Config) ruled(all []*snapshot.Manifest) [][]string {
	present := c.present(all)
	out := c.Retention.Kept(timesOf(present), c.zone())
	for range all[len(present):] {
		out = append(out, []string{keptAhead})
	}
	return out
}
