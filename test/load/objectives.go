package load

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"mockup.dev/mockup/api/v1alpha1"
)

// Missed are the objectives of a service that the run did not meet, as whoever sent the requests saw it: each by its name,
// what was aimed at and what was found. A failure is a result with an error. It is an error, too, if the sender did not keep
// its rate, for then the figures mean nothing, or if the service has no objectives.
func (r Report) Missed(objectives []v1alpha1.Objective, service string) error {
	if err := r.Kept(); err != nil {
		return err
	}
	if len(r.Results) == 0 {
		return errors.New("no requests were sent")
	}
	of := slices.DeleteFunc(slices.Clone(objectives), func(o v1alpha1.Objective) bool { return o.Service != service })
	if len(of) == 0 {
		return fmt.Errorf("%s is held to no objective", service)
	}
	var missed []error
	for i := range of {
		if err := r.missed(&of[i]); err != nil {
			missed = append(missed, fmt.Errorf("objective %s is missed: %w", of[i].Name, err))
		}
	}
	return errors.Join(missed...)
}

func (r Report) missed(o *v1alpha1.Objective) error {
	failed := 100 * float64(len(r.Failures())) / float64(len(r.Results))
	switch {
	case o.Availability != nil:
		return atLeast("available", 100-failed, cmp.Or(o.Availability.Target, o.Availability.Agreed))
	case o.ErrorRate != nil:
		target := cmp.Or(o.ErrorRate.Target, o.ErrorRate.Agreed)
		most, err := strconv.ParseFloat(target, 64)
		if err != nil || failed > most {
			return fmt.Errorf("%.4g %% of the requests failed, aimed at are %s %% at most", failed, target)
		}
	case o.Latency != nil:
		return r.slow(o.Latency)
	}
	return nil
}

func atLeast(what string, percentage float64, target string) error {
	least, err := strconv.ParseFloat(target, 64)
	if err != nil || percentage < least {
		return fmt.Errorf("%.6g %% %s, aimed at are %s %% at least", percentage, what, target)
	}
	return nil
}

// slow is an error if fewer requests than the percentile were answered within the time.
func (r Report) slow(l *v1alpha1.LatencyObjective) error {
	target, percentile := l.Agreed.Duration, cmp.Or(l.Percentile, 95)
	if l.Target != nil {
		target = l.Target.Duration
	}
	var within int
	var worst time.Duration
	for _, x := range r.Results {
		worst = max(worst, x.Latency)
		if x.Latency <= target {
			within++
		}
	}
	if share := 100 * float64(within) / float64(len(r.Results)); share < float64(percentile) {
		return fmt.Errorf("%.4g %% of the requests were answered within %s, aimed at are %d %% at least; the longest took %s",
			share, target, percentile, round(worst))
	}
	return nil
}
