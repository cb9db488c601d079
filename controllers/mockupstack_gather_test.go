package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// TestTakenName is about the names of Services, of which one with a metricsPort has two.
func TestTakenName(t *testing.T) {
	stack := func(name string, age time.Duration, services ...v1alpha1.Service) *v1alpha1.MockupStack {
		s := &v1alpha1.MockupStack{Spec: v1alpha1.MockupStackSpec{Services: services}}
		s.Name, s.CreationTimestamp = name, metav1.NewTime(time.Unix(0, 0).Add(-age))
		return s
	}
	web, webPods := v1alpha1.Service{Name: "web"}, v1alpha1.Service{Name: "web-pods"}
	counted := v1alpha1.Service{Name: "web", MetricsPort: 9000}
	for _, c := range []struct {
		what         string
		older, mine  v1alpha1.Service
		age          time.Duration
		field, taken string
	}{
		{"the same name", web, web, time.Hour, "spec.services[1].name", `"web"`},
		{"the same name, and older", web, web, -time.Hour, "", ""},
		{"that of its pods", counted, webPods, time.Hour, "spec.services[1].name", `"web-pods"`},
		{"its pods' is another's", webPods, counted, time.Hour, "spec.services[1].name", `"web-pods"`},
		{"no metrics, no second name", web, webPods, time.Hour, "", ""},
	} {
		err := takenName(stack("mine", 0, v1alpha1.Service{Name: "other"}, c.mine), []v1alpha1.MockupStack{*stack("theirs", c.age, c.older)})
		if c.field == "" {
			if err != nil {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.field) || !strings.Contains(err.Error(), c.taken) || !strings.Contains(err.Error(), "theirs") {
			t.Errorf("%s: %v, want %s taken at %s", c.what, err, c.taken, c.field)
		}
	}
}
