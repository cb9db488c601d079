package observability

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
)

// maxMessage that PagerDuty takes, in bytes.
const maxMessage = 512 << 10

// eventFaults are what PagerDuty would refuse of an event, or an engineer could not act on
// (https://developer.pagerduty.com/docs/events-api-v2/trigger-events/).
func eventFaults(event map[string]any) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if event["routing_key"] != routingKey {
		fault("routing_key is not the Secret's")
	}
	if key := text(event, "dedup_key"); key == "" || len(key) > 255 {
		fault("dedup_key has %d characters", len(key))
	}
	action := text(event, "event_action")
	if !slices.Contains([]string{"trigger", "acknowledge", "resolve"}, action) {
		fault("event_action is %q", action)
	}
	if payload, has := event["payload"].(map[string]any); has || action == "trigger" {
		for _, field := range []string{"summary", "source", "severity"} {
			if n := len(text(payload, field)); n == 0 || n > 1024 {
				fault("payload.%s has %d characters", field, n)
			}
		}
		if severity := text(payload, "severity"); !slices.Contains([]string{"critical", "error", "warning", "info"}, severity) {
			fault("payload.severity is %q", severity)
		}
	}
	links, _ := event["links"].([]any)
	for _, one := range links {
		link, _ := one.(map[string]any)
		if !isLink(text(link, "href")) || text(link, "text") == "" {
			fault("links has %v", link)
		}
	}
	if action == "trigger" && len(links) < 2 {
		fault("it does not say what to do")
	}
	if address, has := event["client_url"]; has && !isLink(fmt.Sprint(address)) {
		fault("client_url is %v", address)
	}
	return faults
}

var slackColor = regexp.MustCompile(`^(good|warning|danger|#[0-9a-fA-F]{6})$`)

// hookFaults are what an incoming webhook of Slack's would refuse of a message, or show as nothing
// (https://docs.slack.dev/messaging/formatting-message-text, "legacy fields" of attachments).
func hookFaults(message map[string]any) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	attachments, _ := message["attachments"].([]any)
	if len(attachments) == 0 || len(attachments) > 100 {
		fault("there are %d attachments", len(attachments))
	}
	for _, one := range attachments {
		a, _ := one.(map[string]any)
		for _, field := range []string{"fallback", "title", "text"} {
			if n := len(text(a, field)); n == 0 || n > 8000 {
				fault("%s has %d characters", field, n)
			}
		}
		if color := text(a, "color"); !slackColor.MatchString(color) {
			fault("color is %q", color)
		}
		if link := text(a, "title_link"); !isLink(link) {
			fault("title_link is %q", link)
		}
		actions, _ := a["actions"].([]any)
		if len(actions) == 0 || len(actions) > 5 {
			fault("there are %d actions", len(actions))
		}
		for _, one := range actions {
			action, _ := one.(map[string]any)
			if text(action, "type") != "button" || text(action, "text") == "" || !isLink(text(action, "url")) {
				fault("actions has %v", action)
			}
		}
	}
	return faults
}

func text(of map[string]any, field string) string {
	value, _ := of[field].(string)
	return value
}

// isLink tells whether somebody can follow it.
func isLink(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
