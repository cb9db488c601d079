package observability

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Alerts that are posted to Alertmanager as Prometheus posts its own: one that nobody wants to hear of, and a warning alone.
const (
	silencedAlert = "SilencedByTest"
	warningAlert  = "WarningOfTest"
)

// posted is an alert of a service that began at a time.
func posted(name, severity, service string, began time.Time) map[string]any {
	return map[string]any{
		"labels": map[string]string{"alertname": name, "severity": severity, "stack": "mockup", "namespace": "default", "service": service},
		"annotations": map[string]string{
			"summary": name + " of " + service, "description": "It is a test.", "runbook_url": "http://localhost/runbook", "dashboard": "http://localhost/d",
		},
		"startsAt": began.UTC().Format(time.RFC3339Nano),
		"endsAt":   time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
	}
}

// post alerts, as whoever has some does again and again.
func post(t *testing.T, alerts ...map[string]any) {
	t.Helper()
	must(t, call("POST", alertmanager+"/api/v2/alerts", alerts, nil))
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

// silence of the test's own.
type silence struct {
	id string
	// began is when its alert did, and saved is how often Alertmanager had saved when people had been told of another.
	began time.Time
	saved float64
}

// silenced is an alert that nobody is told of, beside one that is told.
func (w *watched) silenced(t *testing.T) {
	var made struct{ SilenceID string }
	must(t, call("POST", alertmanager+"/api/v2/silences", map[string]any{
		"matchers": []any{map[string]any{"name": "alertname", "value": silencedAlert, "isRegex": false, "isEqual": true}},
		"startsAt": time.Now().UTC().Format(time.RFC3339), "endsAt": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"createdBy": "test", "comment": "kept",
	}, &made))
	// What began a minute ago is told at once: it has waited for others of its group.
	w.silence = silence{id: made.SilenceID, began: time.Now().Add(-time.Minute)}
	w.postBoth(t)
	eventually(t, "the warning to reach Slack", patience, func() error {
		if n := len(w.about(warningAlert)); n != 1 {
			return fmt.Errorf("it came %d times", n)
		}
		return nil
	})
	saved, err := savedTimes()
	must(t, err)
	w.silence.saved = saved
}

// postBoth the alert that is silenced and the one that is not.
func (w *watched) postBoth(t *testing.T) {
	t.Helper()
	post(t, posted(silencedAlert, "critical", "test", w.silence.began), posted(warningAlert, "warning", "test", w.silence.began))
}

// silences outlive Alertmanager, even if it is killed, and so does what it knows of messages.
func (w *watched) silences(t *testing.T) {
	eventually(t, "both to be saved", patience, func() error {
		now, err := savedTimes()
		if err == nil && now < w.silence.saved+4 { // each of them twice, since one may have begun before the message
			err = fmt.Errorf("they were saved %v times, before %v", now, w.silence.saved)
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
		if err == nil && (len(all) != 1 || all[0].ID != w.silence.id || all[0].Status.State != "active") {
			err = fmt.Errorf("silences are %v", all)
		}
		return err
	})
	w.postBoth(t)
	eventually(t, "the alert to be silent", patience, func() error {
		found, err := alertsOf(silencedAlert)
		if err == nil && (len(found) != 1 || found[0].Status.State != "suppressed" || len(found[0].Status.SilencedBy) != 1) {
			err = fmt.Errorf("it is %+v", found)
		}
		return err
	})
}

// savedTimes is how often Alertmanager has saved its silences and what it has sent, together.
func savedTimes() (float64, error) {
	found, err := series(`alertmanager_nflog_maintenance_total + on () alertmanager_silences_maintenance_total`)
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("Alertmanager tells %d times how often it has saved", len(found))
	}
	for _, n := range found {
		return n, err
	}
	return 0, err
}

// about are the messages of Slack and PagerDuty that mention an alert.
func (w *watched) about(alert string) []message {
	mentioned := func(m message) bool { return m.mentions(alert) }
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
	for _, alert := range []string{warningAlert, warningPair} {
		if told := w.about(alert); len(told) != 1 || !told[0].in(hookOfAlerts) {
			t.Errorf("of %s people were told %d times, want once in #alerts: %v", alert, len(told), told)
		}
	}
	if told := w.pager.where(func(m message) bool { return m.mentions(criticalPair) }); len(told) != 1 {
		t.Errorf("of %s PagerDuty was told %d times, want once: %v", criticalPair, len(told), told)
	}
	if active, err := alertsOf(warningAlert); err != nil || len(active) != 1 || active[0].Status.State != "active" {
		t.Errorf("the warning is %+v (%v), but should still fire", active, err)
	}
	for _, one := range w.pager.where(anything) {
		if !one.mentions(`"severity":"critical"`) {
			t.Errorf("PagerDuty got what is not critical: %v", one.body)
		}
	}
	channels := map[string]string{"/hook/" + hookOfAlerts: "#alerts", "/hook/" + hookOfOps: "#ops-critical"}
	for _, one := range w.slack.where(anything) {
		if one.body["channel"] != channels[one.path] {
			t.Errorf("the webhook of %s got a message for %v", channels[one.path], one.body["channel"])
		}
	}
	if faults := append(w.pager.faults(), w.slack.faults()...); len(faults) > 0 {
		t.Errorf("refused were:\n%s", strings.Join(faults, "\n"))
	}
	w.linksOfMessages(t)
}

func anything(message) bool { return true }
