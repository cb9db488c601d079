package podman

import (
	"testing"
	"time"
)

// Pauses of many watches end at few moments, never later than they should, and periods stay what they are.
func TestPausesEndTogether(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(1_700_000_000_000 + int64(ms)) }
	for _, c := range []struct {
		now   int
		pause time.Duration
		want  time.Duration
	}{
		{0, 2 * time.Second, 2 * time.Second},
		{30, 2 * time.Second, 1970 * time.Millisecond}, // began at the beat and took 30 ms
		{199, 2 * time.Second, 1801 * time.Millisecond},
		{200, 2 * time.Second, 2 * time.Second},
		{30, time.Second, 970 * time.Millisecond},
		{30, 999 * time.Millisecond, 999 * time.Millisecond},
		{30, 0, 0},
	} {
		if got := together(at(c.now), c.pause); got != c.want {
			t.Errorf("%s from %d ms after a beat became %s, want %s", c.pause, c.now, got, c.want)
		}
	}
}
