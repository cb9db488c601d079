package manifests

import (
	"cmp"
	_ "embed" // the templates of messages
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
)

//go:embed files/messages.tmpl
var messageTemplates string

// What follows is Alertmanager's configuration as far as it is used here. Its own types hide secrets when they are written,
// and fill in all that is left open.
type (
	amConfig struct {
		Route        amRoute      `json:"route"`
		InhibitRules []amInhibit  `json:"inhibit_rules"`
		Receivers    []amReceiver `json:"receivers"`
		Templates    []string     `json:"templates"`
	}
	amRoute struct {
		Receiver       string    `json:"receiver"`
		Matchers       []string  `json:"matchers,omitempty"`
		GroupBy        []string  `json:"group_by,omitempty"`
		GroupWait      string    `json:"group_wait,omitempty"`
		GroupInterval  string    `json:"group_interval,omitempty"`
		RepeatInterval string    `json:"repeat_interval,omitempty"`
		Continue       bool      `json:"continue,omitempty"`
		Routes         []amRoute `json:"routes,omitempty"`
	}
	amInhibit struct {
		SourceMatchers []string `json:"source_matchers"`
		TargetMatchers []string `json:"target_matchers"`
		Equal          []string `json:"equal"`
	}
	amReceiver struct {
		Name      string        `json:"name"`
		PagerDuty []amPagerDuty `json:"pagerduty_configs,omitempty"`
		Slack     []amSlack     `json:"slack_configs,omitempty"`
		Email     []amEmail     `json:"email_configs,omitempty"`
	}
	amPagerDuty struct {
		SendResolved   bool     `json:"send_resolved"`
		RoutingKeyFile string   `json:"routing_key_file"`
		URL            string   `json:"url,omitempty"`
		Description    string   `json:"description"`
		Severity       string   `json:"severity"`
		Component      string   `json:"component"`
		Group          string   `json:"group"`
		Class          string   `json:"class"`
		Links          []amLink `json:"links"`
	}
	amLink struct {
		Href string `json:"href"`
		Text string `json:"text"`
	}
	amSlack struct {
		SendResolved bool       `json:"send_resolved"`
		APIURLFile   string     `json:"api_url_file"`
		Channel      string     `json:"channel"`
		Color        string     `json:"color"`
		Title        string     `json:"title"`
		TitleLink    string     `json:"title_link"`
		Text         string     `json:"text"`
		Fallback     string     `json:"fallback"`
		Actions      []amAction `json:"actions"`
	}
	amAction struct {
		Type string `json:"type"`
		Text string `json:"text"`
		URL  string `json:"url"`
	}
	amEmail struct {
		SendResolved     bool              `json:"send_resolved"`
		To               string            `json:"to"`
		From             string            `json:"from"`
		Smarthost        string            `json:"smarthost"`
		AuthUsername     string            `json:"auth_username,omitempty"`
		AuthPasswordFile string            `json:"auth_password_file,omitempty"`
		RequireTLS       bool              `json:"require_tls"`
		Headers          map[string]string `json:"headers"`
		HTML             string            `json:"html"`
		Text             string            `json:"text"`
	}
)

// nobody gets what no route matches.
const nobody = "nobody"

// Times of notifications, where a route does not say otherwise.
const (
	groupWait        = 10 * time.Second
	groupWaitWarning = 30 * time.Second
	groupInterval    = time.Minute
	repeatInterval   = 12 * time.Hour
)

// alertmanagerConfig are its files, checked as it would check them.
func (r *addonRenderer) alertmanagerConfig() (map[string]string, error) {
	a := &r.addon.Spec.Alerting
	text, err := r.alertmanagerText(a)
	if err != nil {
		return nil, err
	}
	if _, err := config.Load(text); err != nil {
		field, value := r.refusedPart(a)
		return nil, &InvalidError{Field: field, Value: value, Reason: "Alertmanager refuses what would come of it: " + err.Error()}
	}
	return map[string]string{alertmanagerConfigFile: text, messagesFile: messageTemplates}, nil
}

// refusedPart is the first receiver or route that Alertmanager refuses by itself.
func (r *addonRenderer) refusedPart(a *v1alpha1.Alerting) (field, value string) {
	refused := func(part v1alpha1.Alerting) bool {
		text, err := r.alertmanagerText(&part)
		if err == nil {
			_, err = config.Load(text)
		}
		return err != nil
	}
	for i, to := range a.Receivers {
		if refused(v1alpha1.Alerting{Receivers: []v1alpha1.AlertReceiver{to}}) {
			return fmt.Sprintf("spec.alerting.receivers[%d]", i), to.Name
		}
	}
	for i, route := range a.Routes {
		if refused(v1alpha1.Alerting{Receivers: a.Receivers, Routes: []v1alpha1.AlertRoute{route}}) {
			return fmt.Sprintf("spec.alerting.routes[%d]", i), strings.Join(route.Receivers, ", ")
		}
	}
	return "spec.alerting", ""
}

// alertmanagerText is the configuration that a asks for.
func (r *addonRenderer) alertmanagerText(a *v1alpha1.Alerting) (string, error) {
	c := amConfig{
		Route: amRoute{
			Receiver: nobody, GroupBy: []string{"alertname", "stack", "namespace"}, GroupWait: groupWait.String(),
			GroupInterval: model.Duration(groupInterval).String(), RepeatInterval: model.Duration(repeatInterval).String(), Routes: branches(a),
		},
		InhibitRules: inhibitions(),
		Receivers:    []amReceiver{{Name: nobody}},
		Templates:    []string{alertmanagerConfigDir + "/" + messagesFile},
	}
	for i := range a.Receivers {
		c.Receivers = append(c.Receivers, r.receiver(&a.Receivers[i]))
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("writing the configuration of Alertmanager: %w", err)
	}
	return string(text), nil
}

// branches has one branch for each receiver, and all are tried, so that a receiver gets an alert once, however many of its
// routes match; within a branch the first that matches counts. What matches none in a branch ends there, with nobody.
func branches(a *v1alpha1.Alerting) []amRoute {
	var out []amRoute
	for _, r := range a.Receivers {
		branch := amRoute{Receiver: nobody, Continue: true}
		for i := range a.Routes {
			if slices.Contains(a.Routes[i].Receivers, r.Name) {
				branch.Routes = append(branch.Routes, leaf(r.Name, &a.Routes[i]))
			}
		}
		if len(branch.Routes) > 0 {
			out = append(out, branch)
		}
	}
	return out
}

func leaf(receiver string, route *v1alpha1.AlertRoute) amRoute {
	out := amRoute{Receiver: receiver}
	for _, label := range sortedKeys(route.Match) {
		out.Matchers = append(out.Matchers, fmt.Sprintf("%s=%q", label, route.Match[label]))
	}
	if route.Match["severity"] == severityWarning {
		out.GroupWait = groupWaitWarning.String()
	}
	out.GroupWait = cmp.Or(promDuration(route.GroupWait), out.GroupWait)
	out.RepeatInterval = promDuration(route.RepeatInterval)
	return out
}

// promDuration is a duration as Prometheus' programs write it, in units that they all know; empty for none.
func promDuration(d *metav1.Duration) string {
	if d == nil {
		return ""
	}
	return model.Duration(d.Duration).String()
}

// inhibitions keep silent what follows from something worse that people are told of already.
func inhibitions() []amInhibit {
	same := []string{"namespace", "stack", "service"}
	return []amInhibit{
		{
			SourceMatchers: []string{fmt.Sprintf(`alertname=~"%s|%s"`, alertServiceDown, alertMimeServerDown)},
			TargetMatchers: []string{`alertname=~"HighLatency|TargetDown|ErrorBudgetWarning|ErrorBudgetBurn|MemoryUsageHigh"`},
			Equal:          same,
		},
		{
			SourceMatchers: []string{fmt.Sprintf("alertname=%q", alertAgentDown)},
			TargetMatchers: []string{fmt.Sprintf(`alertname=~"TargetDown|%s"`, alertAgentBehind)},
			Equal:          same,
		},
		{
			SourceMatchers: []string{`severity="critical"`},
			TargetMatchers: []string{`severity="warning"`},
			Equal:          append([]string{"alertname", "objective", "persistentvolumeclaim"}, same...),
		},
	}
}

// receiver in Alertmanager's words. Without Grafana nothing leads to its dashboards.
func (r *addonRenderer) receiver(to *v1alpha1.AlertReceiver) amReceiver {
	out, links := amReceiver{Name: to.Name}, []amLink{{Href: `{{ template "mockup.runbook" . }}`, Text: "What to do"}}
	if r.wants(ComponentGrafana) {
		links = append(links, amLink{Href: `{{ template "mockup.dashboard" . }}`, Text: "Dashboard"})
	}
	if p := to.PagerDuty; p != nil {
		out.PagerDuty = []amPagerDuty{pagerDuty(p, links)}
	}
	if s := to.Slack; s != nil {
		out.Slack = []amSlack{slack(s, links)}
	}
	if e := to.Email; e != nil {
		out.Email = []amEmail{email(e)}
	}
	return out
}

// pagerDuty leaves the details to Alertmanager, which sends the alerts as they are; a text of ours would be read as YAML.
func pagerDuty(p *v1alpha1.PagerDutyReceiver, links []amLink) amPagerDuty {
	return amPagerDuty{
		SendResolved: true, RoutingKeyFile: secretFile(p.RoutingKeySecret), URL: p.URL,
		Description: `{{ template "mockup.title" . }}`, Severity: `{{ template "mockup.severity" . }}`,
		Component: "{{ .CommonLabels.service }}", Group: "{{ .GroupLabels.stack }}", Class: "{{ .GroupLabels.alertname }}",
		Links: links,
	}
}

// slack has a button for each link, the last of which is that of the title.
func slack(s *v1alpha1.SlackReceiver, links []amLink) amSlack {
	var actions []amAction
	for _, l := range append(links, amLink{Href: `{{ template "mockup.silence" . }}`, Text: "Silence"}) {
		actions = append(actions, amAction{Type: "button", Text: l.Text, URL: l.Href})
	}
	return amSlack{
		SendResolved: true, APIURLFile: secretFile(s.WebhookSecret), Channel: s.Channel,
		Color: `{{ template "mockup.color" . }}`,
		Title: `{{ template "mockup.title" . }}`, TitleLink: links[len(links)-1].Href,
		Text: `{{ template "mockup.text" . }}`, Fallback: `{{ template "mockup.title" . }}`,
		Actions: actions,
	}
}

func email(e *v1alpha1.EmailReceiver) amEmail {
	out := amEmail{
		SendResolved: true, To: strings.Join(e.To, ", "), From: e.From, Smarthost: e.Smarthost,
		AuthUsername: e.Username, RequireTLS: on(e.RequireTLS),
		Headers: map[string]string{"Subject": `{{ template "mockup.title" . }}`},
		Text:    `{{ template "mockup.mail" . }}`,
	}
	if e.PasswordSecret != nil {
		out.AuthPasswordFile = secretFile(*e.PasswordSecret)
	}
	return out
}
