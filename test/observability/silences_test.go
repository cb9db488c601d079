package observability

import (
	"fmt"
	"testing"
	"time"
)

// Alerts that are posted to Alertmanager as Prometheus posts its own: one that nobody wants to hear of, and a warning alone.
const (
	silencedAlert = "SilencedByTest"
	warningAlert  = "WarningOfTest"
)

// post the alerts that began at a time, as whoever has some does again and again.
func post(t *testing.T, began time.Time) {
	t.Helper()
	alert := func(name, severity string) map[string]any {
		return map[string]any{
			"labels":      map[string]string{"alertname": name, "severity": severity, "stack": "mockup", "namespace": "default", "service": "test"},
			"annotations": map[string]string{"summary": name, "description": name, "runbook_url": "http://localhost/runbook", "dashboard": "http://localhost/d"},
			"startsAt":    began.UTC().Format(time.RFC3339),
			"endsAt":      time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		}
	}
	must(t, call("POST", alertmanager+"/api/v2/alerts", []any{alert(silencedAlert, "critical"), alert(warningAlert, "warning")}, nil))
}

// alertOf Alertmanager.
type alertOf struct {
	Labels map[string]string
	Status struct {
		State       string
		SilencedBy  []string
		InhibitedBy []string
	}
}

func alertsOf(name string) ([]alertOf, error) {
	var all, found []alertOf
	err := get(alertmanager+"/api/v2/alerts", nil, &all)
	for _, a := range all {
		if a.Labels["alertname"] == name {
			found = append(found, a)
		}
	}
	return found, err
}

// silences outlive Alertmanager, even if it is killed, and so does what it knows of messages.
func (w *watched) silences(t *testing.T) {
	var silence struct{ SilenceID string }
	must(t, call("POST", alertmanager+"/api/v2/silences", map[string]any{
		"matchers": []any{map[string]any{"name": "alertname", "value": silencedAlert, "isRegex": false, "isEqual": true}},
		"startsAt": time.Now().UTC().Format(time.RFC3339), "endsAt": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"createdBy": "test", "comment": "kept",
	}, &silence))
	began := time.Now()
	post(t, began)
	eventually(t, "the warning to reach Slack", patience, func() error {
		if n := len(w.about(warningAlert)); n != 1 {
			return fmt.Errorf("it came %d times", n)
		}
		return nil
	})
	saved, err := series(`alertmanager_nflog_maintenance_total + alertmanager_silences_maintenance_total`)
	must(t, err)
	eventually(t, "both to be saved", patience, func() error {
		now, err := series(`alertmanager_nflog_maintenance_total + on () alertmanager_silences_maintenance_total`)
		for _, n := range now {
			for _, before := range saved {
				if n < before+4 { // each of them twice, since one may have begun before the message
					err = fmt.Errorf("they were saved %v times, before %v", n, before)
				}
			}
		}
		return err
	})
	const container = "default-mockup-alertmanager-0.alertmanager"
	before := w.identity(t, container)
	w.podman(t, "kill", "--signal", "KILL", container)
	eventually(t, "Alertmanager to be back with the silence", patience, func() error {
		if w.identity(t, container) == before {
			return fmt.Errorf("it has not ended")
		}
		var all []struct {
			ID     string
			Status struct{ State string }
		}
		err := get(alertmanager+"/api/v2/silences", nil, &all)
		if err == nil && (len(all) != 1 || all[0].ID != silence.SilenceID || all[0].Status.State != "active") {
			err = fmt.Errorf("silences are %v", all)
		}
		return err
	})
	post(t, began)
	eventually(t, "the alert to be silent", patience, func() error {
		found, err := alertsOf(silencedAlert)
		if err == nil && (len(found) != 1 || found[0].Status.State != "suppressed" || len(found[0].Status.SilencedBy) != 1) {
			err = fmt.Errorf("it is %+v", found)
		}
		return err
	})
}

// about are the messages of Slack and PagerDuty that mention an alert.
func (w *watched) about(alert string) []message {
	mentioned := func(body map[string]any) bool { return mentions(body, alert) }
	return append(w.slack.where(mentioned), w.pager.where(mentioned)...)
}

// identity of a container changes when it is made, or started, anew.
func (w *watched) identity(t *testing.T, container string) string {
	t.Helper()
	return w.podman(t, "inspect", "--format", "{{.Id}} {{.State.StartedAt}}", container)
}

// allMessages looks back: what was silenced reached nobody, and a warning its channel alone, once in all that time, for it is
// repeated after twelve hours.
func (w *watched) allMessages(t *testing.T) {
	if told := w.about(silencedAlert); len(told) > 0 {
		t.Errorf("of what was silenced people were told: %v", told)
	}
	warnings := w.about(warningAlert)
	if len(warnings) != 1 || warnings[0].body["channel"] != "#alerts" {
		t.Errorf("of the warning people were told %d times, want once in #alerts: %v", len(warnings), warnings)
	}
	if active, err := alertsOf(warningAlert); err != nil || len(active) != 1 || active[0].Status.State != "active" {
		t.Errorf("the warning is %+v (%v), but should still fire", active, err)
	}
	for _, one := range w.pager.where(func(map[string]any) bool { return true }) {
		if !mentions(one.body, `"severity":"critical"`) {
			t.Errorf("PagerDuty got what is not critical: %v", one.body)
		}
	}
	for _, one := range w.slack.where(func(map[string]any) bool { return true }) {
		if one.path != "/hook/"+webhookToken {
			t.Errorf("Slack was called at %s", one.path)
		}
	}
}
