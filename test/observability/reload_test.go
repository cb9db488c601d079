package observability

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"mockup.dev/mockup/api/v1alpha1"
)

// reload has rules, routes and a dashboard change while their programs run on.
func (w *watched) reload(t *testing.T) {
	containers := []string{"default-mockup-prometheus-0.prometheus", "default-mockup-alertmanager-0.alertmanager", "default-mockup-grafana-0.grafana"}
	before := map[string]string{}
	for _, c := range containers {
		before[c] = w.identity(t, c)
	}
	w.change(t, func(s *v1alpha1.ObservabilityAddonSpec) {
		s.Objectives = append(s.Objectives, v1alpha1.Objective{
			Name: "added-by-test", Service: "mime-server", Availability: &v1alpha1.AvailabilityObjective{Agreed: "99"},
		})
		s.Alerting.Routes = append(s.Alerting.Routes, v1alpha1.AlertRoute{
			Match: map[string]v1alpha1.LabelValue{"alertname": "AddedByTest"}, Receivers: []string{"alerts"},
		})
	})
	eventually(t, "the rule to be known", patience, func() error { return says(prometheus+"/api/v1/rules", "objective-added-by-test") })
	eventually(t, "the route to be known", patience, func() error { return says(alertmanager+"/api/v2/status", "AddedByTest") })
	w.reloadDashboard(t)
	eventually(t, "the addon to be ready", patience, func() error { return w.ready(t) })

	w.refused(t)
	for _, c := range containers {
		if now := w.identity(t, c); now != before[c] {
			t.Errorf("%s was %s and is %s", c, before[c], now)
		}
	}
}

// refused are changes that could not be used, of which the API server lets through what takes a look at the stack: what was good goes
// on in Alertmanager and Prometheus, all of it.
func (w *watched) refused(t *testing.T) {
	for field, edit := range map[string]func(*v1alpha1.ObservabilityAddonSpec){
		"spec.objectives[4].service": func(s *v1alpha1.ObservabilityAddonSpec) {
			s.Objectives = append(s.Objectives, v1alpha1.Objective{
				Name: "of-nobody", Service: "nobody", Availability: &v1alpha1.AvailabilityObjective{Agreed: "99"},
			})
		},
	} {
		good := w.addon(t).Spec
		w.change(t, func(s *v1alpha1.ObservabilityAddonSpec) {
			edit(s)
			s.Alerting.Routes[len(s.Alerting.Routes)-1].Match = map[string]v1alpha1.LabelValue{"alertname": "NeverTaken"}
			s.Objectives[3].Availability.Agreed = "77"
		})
		eventually(t, "the change to be refused", patience, func() error {
			a := w.addon(t)
			c := meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionStalled)
			if c.Status != "True" || c.Reason != v1alpha1.ReasonInvalidSpec || !strings.Contains(c.Message, field) || c.ObservedGeneration != a.Generation {
				return fmt.Errorf("it says %+v", c)
			}
			return nil
		})
		for address, text := range map[string]string{alertmanager + "/api/v2/status": "AddedByTest", prometheus + "/api/v1/rules": "> 0.01"} {
			if err := says(address, text); err != nil {
				t.Errorf("%s: what was good is not kept: %v", field, err)
			}
		}
		for address, text := range map[string]string{alertmanager + "/api/v2/status": "NeverTaken", prometheus + "/api/v1/rules": "> 0.23"} {
			if says(address, text) == nil {
				t.Errorf("%s: what is refused was taken", field)
			}
		}
		w.change(t, func(s *v1alpha1.ObservabilityAddonSpec) { *s = good })
		eventually(t, "the addon to be ready again", patience, func() error { return w.ready(t) })
	}
	w.change(t, func(s *v1alpha1.ObservabilityAddonSpec) {
		s.Alerting.Routes = s.Alerting.Routes[:len(s.Alerting.Routes)-1]
	})
	eventually(t, "the addon to be ready again", patience, func() error { return w.ready(t) })
}

// says is nil if a program's answer has the text.
func says(address, text string) error {
	var answer any
	if err := get(address, nil, &answer); err != nil {
		return err
	}
	if whole := fmt.Sprint(answer); !strings.Contains(whole, text) {
		return fmt.Errorf("%s does not say %s", address, text)
	}
	return nil
}

// reloadDashboard writes one as the backend does when it renders another, which only another version of the operator would:
// no field of the resource changes a dashboard.
func (w *watched) reloadDashboard(t *testing.T) {
	const uid, title, other = "mockup-operator", `"title":"Operator"`, `"title":"Changed by test"`
	folder := w.podman(t, "volume", "inspect", "--format", "{{.Mountpoint}}", "default-mockup-grafana-0.board-operator")
	file := filepath.Join(folder, uid+".json")
	was, err := os.ReadFile(file)
	must(t, err)
	changed := bytes.Replace(was, []byte(title), []byte(other), 1)
	if bytes.Equal(was, changed) {
		t.Fatalf("%s has no %s", file, title)
	}
	for _, step := range []struct {
		content []byte
		title   string
	}{{changed, "Changed by test"}, {was, "Operator"}} {
		must(t, os.WriteFile(file, step.content, 0o644))
		eventually(t, "Grafana to show "+step.title, patience, func() error {
			if b := w.board(t, uid); b.Title != step.title {
				return fmt.Errorf("it shows %s", b.Title)
			}
			return nil
		})
	}
}
