package load

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// TestMissed has each objective just met, and just missed.
func TestMissed(t *testing.T) {
	within := &metav1.Duration{Duration: 500 * time.Millisecond}
	objectives := []v1alpha1.Objective{
		{Name: "up", Service: "gateway", Availability: &v1alpha1.AvailabilityObjective{Agreed: "90", Target: "99"}},
		{Name: "errors", Service: "gateway", ErrorRate: &v1alpha1.ErrorRateObjective{Agreed: "2"}},
		{Name: "quick", Service: "gateway", Latency: &v1alpha1.LatencyObjective{Agreed: metav1.Duration{Duration: time.Second}, Target: within}},
		{Name: "others", Service: "web", Availability: &v1alpha1.AvailabilityObjective{Agreed: "99.99"}},
	}
	for _, c := range []struct {
		failed, slow int
		missed       []string
	}{
		{0, 0, nil},
		{1, 5, nil},
		{2, 5, []string{"up"}},
		{3, 5, []string{"up", "errors"}},
		{0, 6, []string{"quick"}},
	} {
		r := Report{Rate: 100, Lasted: time.Second, Results: make([]Result, 100)}
		for i := range r.Results {
			r.Results[i].Latency = within.Duration
			if i < c.failed {
				r.Results[i].Err = errors.New("away")
			}
			if i < c.slow {
				r.Results[i].Latency++
			}
		}
		said := fmt.Sprint(r.Missed(objectives, "gateway"))
		for _, o := range objectives {
			want := false
			for _, m := range c.missed {
				want = want || m == o.Name
			}
			if strings.Contains(said, "objective "+o.Name+" is missed") != want {
				t.Errorf("%d failed, %d slow: %s; want missed %v", c.failed, c.slow, said, c.missed)
			}
		}
	}
	good := Report{Rate: 100, Lasted: time.Second, Results: make([]Result, 100)}
	if err := good.Missed(objectives, "nobody"); err == nil {
		t.Error("a service without objectives meets them")
	}
	few := Report{Rate: 100, Lasted: 2 * time.Second, Results: make([]Result, 100)}
	if few.Missed(objectives, "gateway") == nil {
		t.Error("half of the rate is taken for a test")
	}
}
