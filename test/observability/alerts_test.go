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

func opened(m message) bool {
	return m.body["event_action"] == "trigger" && m.mentions("MimeServerDown")
}

func closed(m message) bool {
	return m.body["event_action"] == "resolve" && m.mentions("MimeServerDown")
}

func told(m message) bool { return m.in(hookOfOps) }

// slowGateway is the warning that the gateway answers slowly, which is Slack's alone.
func slowGateway(m message) bool { return m.in(hookOfAlerts) && m.mentions("gateway answers slowly") }

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
	for _, one := range w.slack.where(func(m message) bool { return m.in(hookOfAlerts) }) {
		if one.mentions("MimeServerDown") {
			t.Errorf("#alerts got %v", one.body)
		}
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

func mimeServer(s *v1alpha1.MockupStack) *v1alpha1.Service { return service(s, "mime-server") }
