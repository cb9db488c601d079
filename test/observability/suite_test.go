// Package observability watches the sample stack with the sample addon on real Podman: every program is the real one, asked
// through its own HTTP API, and messages arrive at servers that speak Slack's and PagerDuty's protocols.
//
//	hack/sandbox go test ./test/observability
package observability

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/stacktest"
)

const (
	// patience bounds what should come about by itself, at once as it were.
	patience = 2 * time.Minute
	// alertPatience bounds what has to be true for a minute, is evaluated, grouped, and sent.
	alertPatience = 4 * time.Minute
	lookPeriod    = 500 * time.Millisecond
	// scrape is the interval of the test: shorter than the sample's, for the test's sake.
	scrape = "5s"
)

// The programs, where the sample exposes them.
const (
	prometheus   = "http://127.0.0.1:9090"
	alertmanager = "http://127.0.0.1:9093"
	loki         = "http://127.0.0.1:3100"
	jaeger       = "http://127.0.0.1:16686"
	grafana      = "http://127.0.0.1:3000"
)

// watched is the sample with its addon.
type watched struct {
	*stacktest.Stack
	t       *testing.T
	visitor *http.Client
	slack   *messages
	pager   *messages
}

// TestAddon is one story, since what is watched takes its time to come about.
func TestAddon(t *testing.T) {
	s, err := stacktest.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		if err := s.Purge(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	w := &watched{Stack: s, t: t, slack: receive(t), pager: receive(t)}
	begin := time.Now()
	must(t, s.Up(t.Context()))
	w.visitor, err = s.Visitor(t.Context())
	must(t, err)
	w.applyAddon()
	w.until("the addon to be ready", patience, w.ready)
	t.Logf("the stack and its addon: ready after %s", time.Since(begin).Round(time.Second))
	w.until("every target to be up", patience, w.targetsUp)
	w.use()
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"metrics", w.metrics}, {"logs", w.logs}, {"traces", w.traces}, {"dashboards", w.dashboards}, {"status", w.status},
		{"alerts", w.alerts},
	} {
		if !t.Run(step.name, step.do) && step.name == "alerts" {
			t.Logf("Slack got:\n%s\nPagerDuty got:\n%s", w.slack, w.pager)
		}
	}
}

// applyAddon applies the sample by kubectl, with receivers of the test's own.
func (w *watched) applyAddon() {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.Root(), "config", "samples", "observability.yaml"))
	must(w.t, err)
	addon := &v1alpha1.ObservabilityAddon{}
	must(w.t, yaml.UnmarshalStrict(content, addon))
	addon.Spec.Metrics.ScrapeInterval = scrape
	// The node's address on the public network is where pods reach the host.
	slackHook, pagerAPI := w.slack.url("172.18.0.1", "/hook"), w.pager.url("172.18.0.1", "/v2/enqueue")
	w.kubectl("create", "secret", "generic", "slack", "--from-literal=webhook-url="+slackHook)
	w.kubectl("create", "secret", "generic", "pagerduty", "--from-literal=routing-key="+routingKey)
	key := func(name, key string) v1alpha1.KeyRef { return v1alpha1.KeyRef{Name: name, Key: key} }
	addon.Spec.Alerting.Receivers = []v1alpha1.AlertReceiver{
		{Name: "on-call", PagerDuty: &v1alpha1.PagerDutyReceiver{RoutingKeySecret: key("pagerduty", "routing-key"), URL: pagerAPI}},
		{Name: "alerts", Slack: &v1alpha1.SlackReceiver{Channel: "#alerts", WebhookSecret: key("slack", "webhook-url")}},
		{Name: "ops-critical", Slack: &v1alpha1.SlackReceiver{Channel: "#ops-critical", WebhookSecret: key("slack", "webhook-url")}},
	}
	addon.Spec.Alerting.Routes = []v1alpha1.AlertRoute{
		{Match: map[string]v1alpha1.LabelValue{"severity": "critical"}, Receivers: []string{"on-call"}},
		{Match: map[string]v1alpha1.LabelValue{"alertname": "MimeServerDown"}, Receivers: []string{"on-call", "ops-critical"}},
		{Match: map[string]v1alpha1.LabelValue{"severity": "warning"}, Receivers: []string{"alerts"}},
	}
	w.apply(addon)
}

// apply an object by kubectl.
func (w *watched) apply(o runtime.Object) {
	w.t.Helper()
	text, err := yaml.Marshal(o)
	must(w.t, err)
	file := filepath.Join(w.t.TempDir(), "object.yaml")
	must(w.t, os.WriteFile(file, text, 0o600))
	w.kubectl("apply", "-f", file)
}

func (w *watched) kubectl(args ...string) string {
	w.t.Helper()
	config, err := w.Mockup(w.t.Context(), "kubeconfig")
	must(w.t, err)
	out, err := exec.CommandContext(w.t.Context(), "kubectl", append([]string{"--kubeconfig", config}, args...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *watched) addon() *v1alpha1.ObservabilityAddon {
	w.t.Helper()
	a := &v1alpha1.ObservabilityAddon{}
	must(w.t, w.API.Get(w.t.Context(), stacktest.Name, a))
	return a
}

func (w *watched) ready() error {
	a := w.addon()
	if c := meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionReady); c == nil || c.Status != "True" || c.ObservedGeneration != a.Generation {
		return fmt.Errorf("it is %v, components %+v", c, a.Status.Components)
	}
	return nil
}

// until waits for check to have no more complaint.
func (w *watched) until(what string, timeout time.Duration, check func() error) {
	w.t.Helper()
	eventually(w.t, what, timeout, check)
}

func eventually(t *testing.T, what string, timeout time.Duration, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(timeout); ; time.Sleep(lookPeriod) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s: %v", timeout, what, err)
		}
	}
}

// get asks a program for a JSON document.
func get(address string, query url.Values, into any) error {
	if query != nil {
		address += "?" + query.Encode()
	}
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", address, resp.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w: %s", address, err, body)
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
