package bench

import (
	"context"
	"fmt"
	"time"

	"mockup.dev/mockup/test/stacktest"
)

// Idle is what a background program takes while the stack runs and nobody asks for anything.
type Idle struct {
	RSS  int64 `json:"rssBytes"`
	PSS  int64 `json:"pssBytes"`
	Peak int64 `json:"peakBytes"`
	// CPU is the share of one core, 0.01 for 1 %.
	CPU float64 `json:"cpu"`
}

// samplePeriod is how often memory is looked at.
const samplePeriod = time.Second

// measureIdle watches both programs for a while after a time to settle. Memory is the median of what was seen.
func measureIdle(ctx context.Context, s *stacktest.Stack, settle, window time.Duration) (map[string]Idle, error) {
	if err := pass(ctx, settle); err != nil {
		return nil, err
	}
	watched := map[string]*observed{}
	for _, program := range []string{stacktest.ControlPlane, stacktest.Operator} {
		o, err := observe(s, program)
		if err != nil {
			return nil, err
		}
		watched[program] = o
	}
	begin := time.Now()
	for time.Since(begin) < window {
		if err := pass(ctx, samplePeriod); err != nil {
			return nil, err
		}
		for _, o := range watched {
			if err := o.look(); err != nil {
				return nil, err
			}
		}
	}
	result := map[string]Idle{}
	for program, o := range watched {
		idle, err := o.sum(s, program, time.Since(begin))
		if err != nil {
			return nil, err
		}
		result[program] = idle
	}
	return result, nil
}

// pass lets time go by; it is what is measured here, so there is nothing to wait for.
func pass(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("watching idle programs: %w", ctx.Err())
	case <-time.After(d):
		return nil
	}
}

// observed is one program while it is watched.
type observed struct {
	pid      int
	used     time.Duration
	rss, pss []int64
	peak     int64
}

func observe(s *stacktest.Stack, program string) (*observed, error) {
	pid, err := s.PID(program)
	if err != nil {
		return nil, err
	}
	used, err := stacktest.CPUTime(pid)
	return &observed{pid: pid, used: used}, err
}

func (o *observed) look() error {
	m, err := stacktest.MemoryOf(o.pid)
	o.rss, o.pss, o.peak = append(o.rss, m.RSS), append(o.pss, m.PSS), m.Peak
	return err
}

// sum is an error if the program was started anew in the meantime: it would have looked better than it is.
func (o *observed) sum(s *stacktest.Stack, program string, window time.Duration) (Idle, error) {
	pid, err := s.PID(program)
	if err != nil {
		return Idle{}, err
	}
	if pid != o.pid {
		return Idle{}, fmt.Errorf("the %s ended while it was watched: process %d is %d now", program, o.pid, pid)
	}
	used, err := stacktest.CPUTime(pid)
	if err != nil {
		return Idle{}, err
	}
	return Idle{RSS: median(o.rss), PSS: median(o.pss), Peak: o.peak, CPU: float64(used-o.used) / float64(window)}, nil
}
