// Package observability watches the sample stack with the sample addon on real Podman: every program is the real one, asked
// through its own HTTP API, and messages arrive at servers that speak Slack's and PagerDuty's protocols.
//
//	hack/sandbox go test ./test/observability
package observability

import (
	"bytes"
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
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
	// worthTelling is what the log shows of waits, so that it says where the time of the story goes.
	worthTelling = 3 * time.Second
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
	visitor *http.Client
	sent    *counter
	slack   *messages
	pager   *messages
	mail    *mailServer
	silence silence
}

// step of the story.
type step struct {
	name string
	do   func(*testing.T)
}

// TestAddon is one story, since what is watched takes its time to come about. What can be seen side by side is.
func TestAddon(t *testing.T) {
	s, err := stacktest.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		begin := time.Now()
		if err := s.Purge(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		t.Logf("all of it: gone after %s", time.Since(begin).Round(time.Second))
	}()
	w := &watched{Stack: s, slack: receive(t), pager: receive(t), mail: receiveMail(t)}
	begin := time.Now()
	must(t, s.Up(t.Context()))
	must(t, s.Edit(t.Context(), stacktest.Name, func(s *v1alpha1.MockupStack) {
		addBroken(s)
		addWriter(s)
		moment := int64(1) // the writer's shell does not take the signal of its image, nginx's, for its end
		service(s, "writer").TerminationGracePeriodSeconds = &moment
	}))
	w.visitor, err = s.Visitor(t.Context())
	must(t, err)
	w.sent = count(w.visitor)
	w.applyAddon(t)
	eventually(t, "the addon to be ready", patience, func() error { return w.ready(t) })
	t.Logf("the stack and its addon: ready after %s", time.Since(begin).Round(time.Second))
	eventually(t, "every target to be up", patience, w.targetsUp)
	w.use(t)
	together(t, "quiet", step{"metrics", w.metrics}, step{"logs", w.logs}, step{"traces", w.traces}, step{"dependencies", w.dependencies}, step{"ingest", w.ingest},
		step{"dashboards", w.dashboards}, step{"status", w.status}, oneByOne("changes", step{"silenced", w.silenced}, step{"people", w.people}, step{"reload", w.reload}, step{"silences", w.silences}))
	t.Run("requests", w.mix)
	told := together(t, "trouble", step{"alerts", w.trouble}, step{"panels", w.panels}, step{"links", w.links}, step{"retention", w.retention}, step{"grouped", w.grouped},
		step{"replicas", w.replicas}, oneByOne("agent", step{"figures", w.figures}, step{"rotation", w.promtailRotates}, step{"killed", w.agent}))
	// The end of trouble is told a minute after its begin or two, however soon it is over.
	if !together(t, "mended", step{"alerts", w.mended}, oneByOne("changes", step{"gate", w.gate}, step{"others", func(t *testing.T) {
		together(t, "change", step{"sampling", w.sampling}, oneByOne("agent", step{"violations", w.violations}, step{"collector", w.collector}))
	}})) || !told {
		t.Logf("Slack got:\n%s\nPagerDuty got:\n%s", w.slack, w.pager)
	}
	t.Run("messages", w.allMessages)
	t.Run("secrets", w.secrets)
	t.Run("stack deleted", w.stackDeleted)
}

// together takes steps side by side: all of them, however few processors there are, since they wait most of the time.
func together(t *testing.T, name string, steps ...step) bool {
	return t.Run(name, func(t *testing.T) {
		var all sync.WaitGroup
		for _, s := range steps {
			all.Go(func() { t.Run(s.name, s.do) })
		}
		all.Wait()
	})
}

// oneByOne is a step of steps that disturb each other.
func oneByOne(name string, steps ...step) step {
	return step{name, func(t *testing.T) {
		for _, s := range steps {
			t.Run(s.name, s.do)
		}
	}}
}

// applyAddon applies the sample by kubectl, with receivers and people of the test's own.
func (w *watched) applyAddon(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(w.Root(), "config", "samples", "observability.yaml"))
	must(t, err)
	addon := &v1alpha1.ObservabilityAddon{}
	must(t, yaml.UnmarshalStrict(content, addon))
	addon.Spec.Metrics.ScrapeInterval = scrape
	w.kubectl(t, "create", "secret", "generic", "slack", "--from-literal=alerts="+w.slack.url(host, "/hook/"+hookOfAlerts),
		"--from-literal=ops-critical="+w.slack.url(host, "/hook/"+hookOfOps))
	w.kubectl(t, "create", "secret", "generic", "pagerduty", "--from-literal=routing-key="+routingKey)
	w.kubectl(t, "create", "secret", "generic", "mail", "--from-literal=password="+mailPassword)
	key := func(name, key string) v1alpha1.KeyRef { return v1alpha1.KeyRef{Name: name, Key: key} }
	no, mailKey := false, key("mail", "password")
	addon.Spec.Alerting.Receivers = []v1alpha1.AlertReceiver{
		{Name: "on-call", PagerDuty: &v1alpha1.PagerDutyReceiver{RoutingKeySecret: key("pagerduty", "routing-key"), URL: w.pager.url(host, "/v2/enqueue")}},
		{Name: "alerts", Slack: &v1alpha1.SlackReceiver{Channel: "#alerts", WebhookSecret: key("slack", "alerts")}},
		{Name: "ops-critical", Slack: &v1alpha1.SlackReceiver{Channel: "#ops-critical", WebhookSecret: key("slack", "ops-critical")}},
		{Name: "post", Email: &v1alpha1.EmailReceiver{
			To: []string{mailTo}, From: "alerts@example.com", Smarthost: w.mail.address(host), RequireTLS: &no,
			Username: mailUser, PasswordSecret: &mailKey,
		}},
	}
	addon.Spec.Alerting.Routes = []v1alpha1.AlertRoute{
		{Match: map[string]v1alpha1.LabelValue{"severity": "critical"}, Receivers: []string{"on-call"}},
		{Match: map[string]v1alpha1.LabelValue{"alertname": "MimeServerDown"}, Receivers: []string{"on-call", "ops-critical", "post"}},
		{Match: map[string]v1alpha1.LabelValue{"severity": "warning"}, Receivers: []string{"alerts"}},
	}
	for _, way := range ways {
		addon.Spec.Tracing.Ingest = append(addon.Spec.Tracing.Ingest, v1alpha1.TraceIngest{Protocol: way.protocol, HostPort: way.port})
	}
	w.addPeople(t, addon)
	text, err := yaml.Marshal(addon)
	must(t, err)
	file := filepath.Join(t.TempDir(), "addon.yaml")
	must(t, os.WriteFile(file, text, 0o600))
	w.kubectl(t, "apply", "-f", file)
}

// host is the node's address on the public network, where pods reach the test.
const host = "172.18.0.1"

// change the addon as kubectl edit does.
func (w *watched) change(t *testing.T, edit func(*v1alpha1.ObservabilityAddonSpec)) {
	t.Helper()
	addon := w.addon(t)
	before := addon.DeepCopy()
	edit(&addon.Spec)
	must(t, w.API.Patch(t.Context(), addon, client.MergeFrom(before)))
}

func (w *watched) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	config, err := w.Mockup(t.Context(), "kubeconfig")
	must(t, err)
	out, err := exec.CommandContext(t.Context(), "kubectl", append([]string{"--kubeconfig", config}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", args[0], err, out)
	}
	return strings.TrimSpace(string(out))
}

// podman runs podman and returns its standard output.
func (w *watched) podman(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.Podman(t.Context(), args...)
	must(t, err)
	return out
}

func (w *watched) addon(t *testing.T) *v1alpha1.ObservabilityAddon {
	t.Helper()
	a := &v1alpha1.ObservabilityAddon{}
	must(t, w.API.Get(t.Context(), stacktest.Name, a))
	return a
}

func (w *watched) ready(t *testing.T) error {
	a := w.addon(t)
	if c := meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionReady); c == nil || c.Status != "True" || c.ObservedGeneration != a.Generation {
		return fmt.Errorf("it is %v, components %+v", c, a.Status.Components)
	}
	return nil
}

func eventually(t *testing.T, what string, timeout time.Duration, check func() error) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(lookPeriod) {
		err := check()
		if err == nil {
			if took := time.Since(begin); took > worthTelling {
				t.Logf("waited %s for %s", took.Round(time.Second), what)
			}
			return
		}
		if time.Since(begin) > timeout {
			t.Fatalf("waited %s for %s: %v", timeout, what, err)
		}
	}
}

// get asks a program for a JSON document.
func get(address string, query url.Values, into any) error {
	if query != nil {
		address += "?" + query.Encode()
	}
	return call(http.MethodGet, address, nil, into)
}

// call a program with a JSON document, unless body is nil, for another, unless into is nil.
func call(method, address string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, address, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("%s: %s: %s", req.URL.Redacted(), resp.Status, answer)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s: %w: %s", req.URL.Redacted(), err, answer)
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
