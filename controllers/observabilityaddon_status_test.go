package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// sampleSet renders the samples, after change.
func sampleSet(t *testing.T, change func(*v1alpha1.ObservabilityAddon)) (*v1alpha1.ObservabilityAddon, manifests.Set) {
	t.Helper()
	addon, stack := &v1alpha1.ObservabilityAddon{}, &v1alpha1.MockupStack{}
	for file, into := range map[string]any{"observability.yaml": addon, "mockup.yaml": stack} {
		text, err := os.ReadFile("../config/samples/" + file)
		if err == nil {
			err = yaml.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change(addon)
	set, err := manifests.Observability(addon, manifests.ObservabilityFacts{Stack: stack, Secrets: map[string]*corev1.Secret{
		manifests.GrafanaAdminName(addon.Name): {Data: map[string][]byte{manifests.KeyAdminPassword: []byte("x")}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return addon, set
}

// TestEndpointsLeadSomewhere finds a Service, with the port, of each endpoint that is not on the host.
func TestEndpointsLeadSomewhere(t *testing.T) {
	none := v1alpha1.Exposure{HostPort: new(int32)}
	for name, change := range map[string]func(*v1alpha1.ObservabilityAddon){
		"exposed": func(*v1alpha1.ObservabilityAddon) {},
		"not exposed": func(a *v1alpha1.ObservabilityAddon) {
			s := &a.Spec
			s.Metrics.Expose, s.Metrics.GatewayExporter.Expose, s.Logs.Expose, s.Tracing.Expose, s.Alerting.Expose, s.Dashboards.Expose = none, none, none, none, none, none
		},
		"by the collector": func(a *v1alpha1.ObservabilityAddon) {
			a.Spec.Objectives, a.Spec.Logs.Agent = nil, v1alpha1.AgentOpenTelemetryCollector
		},
	} {
		addon, set := sampleSet(t, change)
		components, _ := componentStatuses(addon, observed{Set: set}, nil)
		for _, c := range components {
			u, err := url.Parse(c.Endpoint)
			if err != nil || u.Host == "" {
				t.Errorf("%s: %s has endpoint %q", name, c.Name, c.Endpoint)
				continue
			}
			if ip := net.ParseIP(u.Hostname()); ip == nil && !serves(set, u.Hostname(), u.Port()) {
				t.Errorf("%s: nothing answers %s of %s", name, c.Endpoint, c.Name)
			} else if ip != nil && name == "not exposed" {
				t.Errorf("%s is not on the host, and said to be at %s", c.Name, c.Endpoint)
			}
		}
	}
}

func serves(set manifests.Set, name, port string) bool {
	for _, o := range set.Objects {
		if s, ok := o.(*corev1.Service); ok && s.Name == name {
			for _, p := range s.Spec.Ports {
				if strconv.Itoa(int(p.Port)) == port {
					return true
				}
			}
		}
	}
	return false
}

// TestStatusWithoutALook is what status says after passes that did not get as far as to look.
func TestStatusWithoutALook(t *testing.T) {
	addon, set := sampleSet(t, func(*v1alpha1.ObservabilityAddon) {})
	now := time.Unix(1000, 0)
	health := addonHealth{up: 8, targets: 9, lastLog: now, lastTrace: now, versions: map[string]string{"loki": "3"}}
	addon.Status = addonStatus(addon, observed{Set: set}, health, nil, now)
	if s := addon.Status; s.Targets != "8/9" || len(s.Components) != 7 || s.LastLogTime == nil || s.LastTraceTime == nil {
		t.Fatalf("status is %+v", s)
	}
	for _, c := range []struct {
		what              string
		health            addonHealth
		err               error
		targets           string
		components, ready string
	}{
		{"the programs answer on", addonHealth{up: 7, targets: 9}, &manifests.InvalidError{}, "7/9", "7", "0/7"},
		{"nobody has asked them yet", addonHealth{}, &manifests.InvalidError{}, "8/9", "7", "0/7"},
		{"the backend does not answer", addonHealth{}, &backendError{errors.New("no")}, "8/9", "7", "0/7"},
		{"Prometheus does not answer", addonHealth{}, nil, "", "7", "0/7"},
		{"the stack is gone", addonHealth{}, &stackNotFoundError{name: "mockup"}, "", "0", "0/7"},
	} {
		before := addon.DeepCopy()
		if c.what == "the stack is gone" {
			before.Status.Ready = "7/7"
		}
		s := addonStatus(before, observed{Set: set}, c.health, c.err, now)
		if s.Targets != c.targets || strconv.Itoa(len(s.Components)) != c.components || s.Ready != c.ready {
			t.Errorf("%s: targets %q, %d components, %s ready", c.what, s.Targets, len(s.Components), s.Ready)
		}
		if s.LastLogTime == nil || s.LastTraceTime == nil {
			t.Errorf("%s: the times of the last log line (%v) and trace (%v) are forgotten", c.what, s.LastLogTime, s.LastTraceTime)
		}
	}
	if s := addonStatus(addon, observed{Set: set}, addonHealth{}, nil, now); s.Components[2].Version != "3" {
		t.Errorf("the version of %s is %q while Prometheus does not answer", s.Components[2].Name, s.Components[2].Version)
	}
}

// TestUnreadableTargetsAreTold in the message of an addon that is ready without them.
func TestUnreadableTargetsAreTold(t *testing.T) {
	h := addonHealth{targets: 9, up: 1, down: []string{"a x: no", "b x: no", "c x: no", "d x: no", "e x: no", "f x: no", "g x: no", "h x: no"}}
	v := verdict{ready: true, message: "all is well"}.withTargets(h)
	if want := "all is well, but 8 of 9 targets can't be scraped: a x: no; b x: no; c x: no; d x: no; e x: no; and 3 more"; v.message != want {
		t.Errorf("got %q, want %q", v.message, want)
	}
	if v := (verdict{stalled: true, message: "no"}).withTargets(h); v.message != "no" {
		t.Errorf("got %q", v.message)
	}
}

// programPods are pods in which servers on this host answer.
type programPods struct {
	backend.Pods
	at map[int]string
}

func (p programPods) Dial(ctx context.Context, _ backend.PodRef, port int) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", p.at[port])
}

// TestHealthRemembers what was answered when nobody answers, for as long as the addon is attended to.
func TestHealthRemembers(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	answering := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer string
		switch {
		case !answering:
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		case r.URL.Path == "/loki/api/v1/query_range":
			answer = fmt.Sprintf(`{"data": {"result": [{"values": [["%d", "a line"]]}]}}`, now.Add(-time.Minute).UnixNano())
		case r.URL.Path == "/api/services":
			answer = `{"data": ["a"]}`
		case r.URL.Path == "/api/traces":
			answer = fmt.Sprintf(`{"data": [{"spans": [{"startTime": %d}]}]}`, now.Add(-time.Hour).UnixMicro())
		case r.URL.Path == "/api/v1/targets":
			answer = `{"data": {"activeTargets": [
				{"health": "up", "labels": {"job": "a", "instance": "1"}}, {"health": "unknown", "labels": {"job": "a", "instance": "2"}},
				{"health": "down", "lastError": "read tcp 10.0.0.1:4711->10.0.0.2:80: reset", "labels": {"job": "b", "instance": "3"}}]}}`
		default:
			answer = `{"data": {"result": [{"metric": {"job": "loki", "version": "3.7.8"}}]}}`
		}
		if !json.Valid([]byte(answer)) {
			t.Errorf("%s is no JSON", answer)
		}
		_, _ = w.Write([]byte(answer))
	}))
	defer server.Close()
	at := strings.TrimPrefix(server.URL, "http://")
	pods := programPods{at: map[int]string{manifests.PortPrometheus: at, manifests.PortLoki: at, manifests.PortJaegerQuery: at}}
	w := &healthWatch{
		pods: pods, clock: func() time.Time { return now }, news: make(chan event.GenericEvent, 2), wake: make(chan struct{}, 1),
		subjects: map[types.NamespacedName]*healthSubject{},
	}
	key := types.NamespacedName{Namespace: "default", Name: "watch"}
	programs := map[string]backend.PodRef{manifests.ComponentPrometheus: {Pod: "p"}, manifests.ComponentLoki: {Pod: "l"}, manifests.ComponentJaeger: {Pod: "j"}}
	w.attend(key, programs, accounts{})
	w.round(context.Background())
	h := w.known(key)
	if h.scraped() != "1/3" || len(h.down) != 1 || h.down[0] != "b 3: read tcp 10.0.0.2:80: reset" ||
		!h.lastLog.Equal(now.Add(-time.Minute)) || !h.lastTrace.Equal(now.Add(-time.Hour)) || h.versions["loki"] != "3.7.8" {
		t.Fatalf("got %+v", h)
	}
	answering = false
	w.round(context.Background())
	if again := w.known(key); !again.lastLog.Equal(h.lastLog) || !again.lastTrace.Equal(h.lastTrace) || again.versions["loki"] != "3.7.8" || again.targets != 0 {
		t.Errorf("got %+v after nobody answered", again)
	}
	if !wasLookedAt(nil) || !wasLookedAt(fmt.Errorf("a pass: %w", &stackNotFoundError{})) || wasLookedAt(&manifests.InvalidError{}) || wasLookedAt(&backendError{errors.New("no")}) {
		t.Error("programs that run on are forgotten, or those that do not are asked")
	}
	if w.attend(key, nil, accounts{}); w.known(key).versions != nil {
		t.Error("an addon without programs is asked on")
	}
}
