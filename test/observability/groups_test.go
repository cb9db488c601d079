package observability

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Alerts of two services each, which people are told of together.
const (
	warningPair  = "WarningPairOfTest"
	criticalPair = "CriticalPairOfTest"
)

// grouped has alerts that begin one after the other told in one message, as soon as the first has waited for the others.
func (w *watched) grouped(t *testing.T) {
	together(t, "pair", step{"warning", func(t *testing.T) {
		first := pair(t, warningPair, "warning")
		one := w.only(t, w.slack, warningPair)
		waited(t, one.at.Sub(first), 30*time.Second)
		for _, part := range []string{warningPair + ": 2 alerts", warningPair + " of first", warningPair + " of second"} {
			if !one.mentions(part) {
				t.Errorf("it has no %q: %v", part, one.body)
			}
		}
	}}, step{"critical", func(t *testing.T) {
		first := pair(t, criticalPair, "critical")
		one := w.only(t, w.pager, criticalPair)
		waited(t, one.at.Sub(first), 10*time.Second)
		payload, _ := one.body["payload"].(map[string]any)
		details, _ := payload["custom_details"].(map[string]any)
		if fmt.Sprint(details["num_firing"]) != "2" || !strings.Contains(text(payload, "summary"), criticalPair+": 2 alerts") {
			t.Errorf("it does not tell of both: %v", one.body)
		}
	}})
}

// pair posts an alert, and another while the first waits; it returns when the first was posted.
func pair(t *testing.T, name, severity string) time.Time {
	t.Helper()
	first := time.Now()
	post(t, posted(name, severity, "first", first))
	time.Sleep(3 * time.Second) // it is what is tried
	post(t, posted(name, severity, "second", time.Now()))
	return first
}

// only message that mentions a text.
func (w *watched) only(t *testing.T, where *messages, text string) message {
	t.Helper()
	var found []message
	eventually(t, text+" to be told", patience, func() error {
		found = where.where(func(m message) bool { return m.mentions(text) })
		if len(found) != 1 {
			return fmt.Errorf("there are %d messages", len(found))
		}
		return nil
	})
	return found[0]
}

// waited complains if a group has waited for less than it should, or for much longer.
func waited(t *testing.T, took, wait time.Duration) {
	t.Helper()
	if took < wait || took > wait+10*time.Second {
		t.Errorf("it was told after %s, want %s", took, wait)
	}
}

// linksOfMessages are followed: titles lead to a dashboard that Grafana has, buttons to a runbook that is there, and to a
// silence that would hold for the alerts of the message.
func (w *watched) linksOfMessages(t *testing.T) {
	t.Helper()
	kinds := map[string]int{}
	for _, one := range w.slack.where(func(m message) bool { return !m.mentions("OfTest") }) {
		for _, a := range one.body["attachments"].([]any) {
			attachment := a.(map[string]any)
			w.toDashboard(t, text(attachment, "title_link"))
			for _, b := range attachment["actions"].([]any) {
				button := b.(map[string]any)
				kinds[text(button, "text")]++
				switch link := text(button, "url"); text(button, "text") {
				case "What to do":
					w.toRunbook(t, link)
				case "Dashboard":
					w.toDashboard(t, link)
				case "Silence":
					toSilence(t, link, one)
				}
			}
		}
	}
	if len(kinds) != 3 {
		t.Errorf("messages have buttons %v", kinds)
	}
}

// toDashboard follows a link to a dashboard.
func (w *watched) toDashboard(t *testing.T, link string) {
	t.Helper()
	uid, query, _ := strings.Cut(strings.TrimPrefix(link, "http://localhost:3000/d/"), "?")
	values, err := url.ParseQuery(query)
	if err != nil || uid == link || values.Get("var-stack") != "mockup" {
		t.Errorf("%s leads to no dashboard (%v)", link, err)
		return
	}
	w.board(t, uid)
}

// toRunbook follows a link to a runbook.
func (w *watched) toRunbook(t *testing.T, link string) {
	t.Helper()
	_, file, ok := strings.Cut(link, "/mockup/docs/runbooks/")
	if _, err := os.Stat(filepath.Join(w.Root(), "docs", "runbooks", file)); !ok || err != nil {
		t.Errorf("%s leads to no runbook (%v)", link, err)
	}
}

var matcher = regexp.MustCompile(`^(\w+)="([^"]*)"$`)

// toSilence reads the filter of a link to a new silence as Alertmanager's page does: each of its labels is one of the message.
func toSilence(t *testing.T, link string, m message) {
	t.Helper()
	u, err := url.Parse(link)
	must(t, err)
	path, query, _ := strings.Cut(u.Fragment, "?")
	values, err := url.ParseQuery(query)
	filter := values.Get("filter")
	if u.Host != "localhost:9093" || path != "/silences/new" || err != nil || !strings.HasPrefix(filter, "{") || !strings.HasSuffix(filter, "}") {
		t.Errorf("%s leads to no silence (%v)", link, err)
		return
	}
	labels := map[string]string{}
	for _, one := range strings.Split(strings.Trim(filter, "{}"), ",") {
		parts := matcher.FindStringSubmatch(one)
		if parts == nil {
			t.Errorf("%s has no matcher in %q", link, one)
			return
		}
		labels[parts[1]] = parts[2]
	}
	if labels["stack"] != "mockup" || labels["alertname"] == "" || !alerted(t, labels) {
		t.Errorf("%s would silence %v, which no rule alerts of", link, labels)
	}
}

// alerted tells whether Prometheus has, or had, an alert with these labels.
func alerted(t *testing.T, labels map[string]string) bool {
	t.Helper()
	var matchers []string
	for name, value := range labels {
		matchers = append(matchers, fmt.Sprintf("%s=%q", name, value))
	}
	found, err := series("last_over_time(ALERTS{" + strings.Join(matchers, ",") + "}[1h])")
	must(t, err)
	return len(found) > 0
}
