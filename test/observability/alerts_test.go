package observability

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/stacktest"
)

// quiet is how long nothing more may come after what should: longer than the pause between two messages of a group.
const quiet = 75 * time.Second

func opened(body map[string]any) bool {
	return body["event_action"] == "trigger" && mentions(body, "MimeServerDown")
}

func closed(body map[string]any) bool {
	return body["event_action"] == "resolve" && mentions(body, "MimeServerDown")
}

func told(body map[string]any) bool { return body["channel"] == "#ops-critical" }

// slowGateway is the warning that the gateway answers slowly, which is Slack's alone.
func slowGateway(body map[string]any) bool {
	return body["channel"] == "#alerts" && mentions(body, "gateway answers slowly")
}

// trouble has mime-server break, just after it was slow: one incident and one message tell of it, and nobody is told that it
// was slow, since it is down. That the gateway was slow is told in the place for warnings alone.
func (w *watched) trouble(t *testing.T) {
	must(t, w.Edit(t.Context(), stacktest.Name, func(s *v1alpha1.MockupStack) {
		mimeServer(s).Command = []string{"/no/such/program"}
	}))
	eventually(t, "MimeServerDown to reach PagerDuty, Slack and the mailbox", alertPatience, func() error {
		if len(w.pager.where(opened)) == 0 || len(w.slack.where(told)) == 0 || len(w.mail.messages()) == 0 {
			return fmt.Errorf("PagerDuty got %d, Slack's #ops-critical %d, the mailbox %d",
				len(w.pager.where(opened)), len(w.slack.where(told)), len(w.mail.messages()))
		}
		return nil
	})
	since := time.Now()
	eventually(t, "HighLatency of mime-server to be inhibited, and that of the gateway not", alertPatience, func() error {
		found, err := alertsOf("HighLatency")
		inhibited := func(service string) bool {
			i := slices.IndexFunc(found, func(a alertOf) bool { return a.Labels["service"] == service })
			return i >= 0 && (len(found[i].Status.InhibitedBy) > 0) == (service == "mime-server")
		}
		if err == nil && (!inhibited("mime-server") || !inhibited("gateway")) {
			err = fmt.Errorf("there are %+v", found)
		}
		return err
	})
	eventually(t, "the gateway's warning to reach Slack", alertPatience, func() error {
		if len(w.slack.where(slowGateway)) == 0 {
			return fmt.Errorf("it did not")
		}
		return nil
	})
	time.Sleep(quiet - time.Since(since)) // nothing tells that nothing more will come
	if n, m, l := len(w.pager.where(opened)), len(w.slack.where(told)), len(w.mail.messages()); n != 1 || m != 1 || l != 1 {
		t.Errorf("PagerDuty got it %d times, Slack's #ops-critical %d times, the mailbox %d times", n, m, l)
	}
	w.wellFormed(t, w.pager.where(opened)[0].body)
	w.mailed(t, w.mail.messages()[0])
	for _, one := range w.about("mime-server answers slowly") {
		t.Errorf("people were told that what is down is slow: %v", one.body)
	}
}

// mended has mime-server serve again, which is told in the same places.
func (w *watched) mended(t *testing.T) {
	must(t, w.Edit(t.Context(), stacktest.Name, func(s *v1alpha1.MockupStack) { mimeServer(s).Command = nil }))
	eventually(t, "the end of it to reach both", alertPatience, func() error {
		if len(w.pager.where(closed)) != 1 || len(w.slack.where(told)) != 2 || len(w.mail.messages()) != 2 {
			return fmt.Errorf("PagerDuty got %d ends, Slack's #ops-critical %d messages, the mailbox %d",
				len(w.pager.where(closed)), len(w.slack.where(told)), len(w.mail.messages()))
		}
		return nil
	})
	if a, b := w.pager.where(opened)[0].body["dedup_key"], w.pager.where(closed)[0].body["dedup_key"]; a != b || a == "" {
		t.Errorf("the incident %v is closed as %v", a, b)
	}
	for _, one := range w.slack.where(func(b map[string]any) bool { return b["channel"] == "#alerts" }) {
		if mentions(one.body, "MimeServerDown") {
			t.Errorf("#alerts got %v", one.body)
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

// mailed complains about a mail that did not come from whom it should, or does not say what to do.
func (w *watched) mailed(t *testing.T, m mail) {
	t.Helper()
	if m.user != mailUser || m.password != mailPassword {
		t.Errorf("%q sent it, with another password than the Secret's: %v", m.user, m.password != mailPassword)
	}
	if !strings.Contains(m.to, mailTo) {
		t.Errorf("it went to %q", m.to)
	}
	text := strings.ReplaceAll(m.text, "=\n", "") // quoted-printable: a line that goes on
	for _, part := range []string{"Subject: ", "mime-server is down", "runbooks/MimeServerDown"} {
		if !strings.Contains(text, part) {
			t.Errorf("it has no %q:\n%s", part, m.text)
		}
	}
}

func mimeServer(s *v1alpha1.MockupStack) *v1alpha1.Service {
	i := slices.IndexFunc(s.Spec.Services, func(x v1alpha1.Service) bool { return x.Name == "mime-server" })
	return &s.Spec.Services[i]
}
