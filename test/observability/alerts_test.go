package observability

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/stacktest"
)

// quiet is how long nothing more may come after what should: longer than the pause between two messages of a group.
const quiet = 75 * time.Second

// alerts has mime-server break, which one incident and one message tell of, and nobody else; then mended, which is told in
// the same places. A warning alone reaches Slack only.
func (w *watched) alerts(t *testing.T) {
	must(t, w.Edit(t.Context(), stacktest.Name, func(s *v1alpha1.MockupStack) {
		mimeServer(s).Command = []string{"/no/such/program"}
	}))
	opened := func(body map[string]any) bool {
		return body["event_action"] == "trigger" && mentions(body, "MimeServerDown")
	}
	closed := func(body map[string]any) bool {
		return body["event_action"] == "resolve" && mentions(body, "MimeServerDown")
	}
	told := func(body map[string]any) bool { return body["channel"] == "#ops-critical" }
	eventually(t, "MimeServerDown to reach PagerDuty and Slack", alertPatience, func() error {
		if len(w.pager.where(opened)) == 0 || len(w.slack.where(told)) == 0 {
			return fmt.Errorf("PagerDuty got %d, Slack's #ops-critical %d", len(w.pager.where(opened)), len(w.slack.where(told)))
		}
		return nil
	})
	time.Sleep(quiet) // nothing tells that nothing more will come
	if n, m := len(w.pager.where(opened)), len(w.slack.where(told)); n != 1 || m != 1 {
		t.Errorf("PagerDuty got it %d times, Slack's #ops-critical %d times", n, m)
	}
	w.wellFormed(t, w.pager.where(opened)[0].body)
	for _, one := range w.slack.where(func(b map[string]any) bool { return b["channel"] == "#alerts" }) {
		if mentions(one.body, "MimeServerDown") || mentions(one.body, "HighLatency") {
			t.Errorf("#alerts got %v", one.body)
		}
	}
	must(t, w.Edit(t.Context(), stacktest.Name, func(s *v1alpha1.MockupStack) { mimeServer(s).Command = nil }))
	eventually(t, "the end of it to reach both", alertPatience, func() error {
		if len(w.pager.where(closed)) != 1 || len(w.slack.where(told)) != 2 {
			return fmt.Errorf("PagerDuty got %d ends, Slack's #ops-critical %d messages", len(w.pager.where(closed)), len(w.slack.where(told)))
		}
		return nil
	})
	if a, b := w.pager.where(opened)[0].body["dedup_key"], w.pager.where(closed)[0].body["dedup_key"]; a != b || a == "" {
		t.Errorf("the incident %v is closed as %v", a, b)
	}
	for _, one := range w.pager.where(func(map[string]any) bool { return true }) {
		if !mentions(one.body, "critical") {
			t.Errorf("PagerDuty got what is not critical: %v", one.body)
		}
	}
}

// wellFormed complains about what PagerDuty would refuse, or an engineer could not act on
// (https://developer.pagerduty.com/docs/events-api-v2/trigger-events/).
func (w *watched) wellFormed(t *testing.T, event map[string]any) {
	t.Helper()
	payload, _ := event["payload"].(map[string]any)
	if event["routing_key"] != routingKey {
		t.Error("the routing key is not the Secret's")
	}
	for _, field := range []string{"summary", "source", "severity"} {
		if text, _ := payload[field].(string); text == "" {
			t.Errorf("payload.%s is missing: %v", field, payload)
		}
	}
	if !slices.Contains([]any{"critical", "error", "warning", "info"}, payload["severity"]) {
		t.Errorf("payload.severity is %v", payload["severity"])
	}
	if !mentions(event, "runbook") {
		t.Errorf("it does not say what to do: %v", event)
	}
}

func mimeServer(s *v1alpha1.MockupStack) *v1alpha1.Service {
	i := slices.IndexFunc(s.Spec.Services, func(x v1alpha1.Service) bool { return x.Name == "mime-server" })
	return &s.Spec.Services[i]
}
