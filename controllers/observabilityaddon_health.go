package controllers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

const (
	// healthPeriod is the pause between two questions to the programs of an addon: that of a scrape.
	healthPeriod = 15 * time.Second
	// healthTimeout bounds each of them.
	healthTimeout = 3 * time.Second
	// healthStep is how far the time of the last log line or trace has to move on before it is told: it moves all the time.
	healthStep = time.Minute
	// healthWindow is how far back a log line or trace is looked for.
	healthWindow = time.Hour
	// maxAnswer is the size of the largest answer that is read, in bytes.
	maxAnswer = 8 << 20
)

// addonHealth is what the programs of an addon say about what they watch. The zero value is that nothing is known.
type addonHealth struct {
	// up of targets that Prometheus scrapes; targets is 0 while it has not said so.
	up, targets int
	// down are those that can't be scraped, each as JOB INSTANCE: ERROR.
	down []string
	// lastLog and lastTrace are the times of the newest that Loki and Jaeger have had.
	lastLog, lastTrace time.Time
	// versions of components, as they tell Prometheus.
	versions map[string]string
	// accounts tells whether Grafana knows whom it should.
	accounts accountsResult
}

// scraped are the targets that Prometheus reaches, of those that it should; empty while it has not said so.
func (h addonHealth) scraped() string {
	if h.targets == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", h.up, h.targets)
}

// after is h with what nobody answered this time, but did before.
func (h addonHealth) after(before addonHealth) addonHealth {
	if h.lastLog.IsZero() {
		h.lastLog = before.lastLog
	}
	if h.lastTrace.IsZero() {
		h.lastTrace = before.lastTrace
	}
	if h.versions == nil {
		h.versions = before.versions
	}
	return h
}

// differs tells whether h is worth telling after before was told.
func (h addonHealth) differs(before addonHealth) bool {
	moved := func(a, b time.Time) bool { return a.IsZero() != b.IsZero() || a.Sub(b).Abs() >= healthStep }
	return h.up != before.up || h.targets != before.targets || !slices.Equal(h.down, before.down) ||
		!maps.Equal(h.versions, before.versions) || h.accounts != before.accounts ||
		moved(h.lastLog, before.lastLog) || moved(h.lastTrace, before.lastTrace)
}

// healthWatch asks the programs of every addon now and then, outside of the queue, and reports the addons of which there is
// something new to tell.
type healthWatch struct {
	pods  backend.Pods
	clock func() time.Time
	// news has the addons of which there is something new to tell.
	news chan event.GenericEvent
	// wake ends the pause between two rounds.
	wake chan struct{}

	mu       sync.Mutex
	subjects map[types.NamespacedName]*healthSubject
}

// healthSubject is one addon: its programs by component, what they said the last time, and whom its Grafana should know, which
// is made sure of from accountsDue on.
type healthSubject struct {
	programs    map[string]backend.PodRef
	said        addonHealth
	accounts    accounts
	accountsDue time.Time
	// renewals is how often accounts has changed.
	renewals int
}

func newHealthWatch(o Options) *healthWatch {
	return &healthWatch{
		pods: o.Backend.Pods(), clock: o.Clock, news: make(chan event.GenericEvent), wake: make(chan struct{}, 1),
		subjects: map[types.NamespacedName]*healthSubject{},
	}
}

// known is what the programs of an addon said the last time.
func (w *healthWatch) known(key types.NamespacedName) addonHealth {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.subjects[key]; s != nil {
		return s.said
	}
	return addonHealth{}
}

// attend has the ready programs of an addon asked from now on, and wanted be those who may log in to its Grafana; without any
// program, it is forgotten. The result is what is known.
func (w *healthWatch) attend(key types.NamespacedName, programs map[string]backend.PodRef, wanted accounts) addonHealth {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(programs) == 0 {
		delete(w.subjects, key)
		return addonHealth{}
	}
	s := w.subjects[key]
	if s == nil {
		s = &healthSubject{}
		w.subjects[key] = s
	}
	renewed := s.renew(wanted, programs[manifests.ComponentGrafana].Pod)
	if renewed || !maps.Equal(s.programs, programs) {
		select {
		case w.wake <- struct{}{}:
		default: // it wakes already
		}
	}
	s.programs = programs
	return s.said
}

// Start asks until ctx ends. It is a manager's runnable.
func (w *healthWatch) Start(ctx context.Context) error {
	ticker := time.NewTicker(healthPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-w.wake:
		}
		w.round(ctx)
	}
}

// round asks all of them once, side by side.
func (w *healthWatch) round(ctx context.Context) {
	w.mu.Lock()
	subjects := map[types.NamespacedName]healthSubject{}
	for key, s := range w.subjects {
		subjects[key] = *s
	}
	w.mu.Unlock()
	var all sync.WaitGroup
	for key, s := range subjects {
		all.Go(func() {
			now := w.ask(ctx, s.programs).after(s.said)
			now.accounts = s.keepAccounts(ctx, w)
			if w.note(key, &s, now) {
				w.report(ctx, key)
			}
		})
	}
	all.Wait()
}

// note what the programs of an addon said when it was as asked says, and tell whether it is news.
func (w *healthWatch) note(key types.NamespacedName, asked *healthSubject, now addonHealth) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.subjects[key]
	switch {
	case s == nil:
		return false
	case s.renewals != asked.renewals:
		now.accounts = accountsResult{} // that was about others
	default:
		s.accountsDue = asked.accountsDue
	}
	if !now.differs(s.said) {
		return false
	}
	s.said = now
	return true
}

// report that there is something new to tell.
func (w *healthWatch) report(ctx context.Context, key types.NamespacedName) {
	addon := &v1alpha1.ObservabilityAddon{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	select {
	case w.news <- event.GenericEvent{Object: addon}:
	case <-ctx.Done():
	}
}

// ask the programs of one addon. Of what one of them does not answer nothing is known.
func (w *healthWatch) ask(ctx context.Context, programs map[string]backend.PodRef) addonHealth {
	var h addonHealth
	if pod, runs := programs[manifests.ComponentPrometheus]; runs {
		h.askPrometheus(ctx, program{w.pods, pod, manifests.PortPrometheus})
	}
	if pod, runs := programs[manifests.ComponentLoki]; runs {
		h.askLoki(ctx, program{w.pods, pod, manifests.PortLoki}, w.clock())
	}
	if pod, runs := programs[manifests.ComponentJaeger]; runs {
		h.askJaeger(ctx, program{w.pods, pod, manifests.PortJaegerQuery})
	}
	return h
}

// ownPort is the near end of a connection, which is another one each time.
var ownPort = regexp.MustCompile(`[0-9a-f.:\[\]]+:[0-9]+->`)

func (h *addonHealth) askPrometheus(ctx context.Context, p program) {
	var answer struct {
		Data struct {
			ActiveTargets []struct {
				Health, LastError string
				Labels            struct{ Job, Instance string }
			}
		}
	}
	if p.get(ctx, "/api/v1/targets", url.Values{"state": {"active"}}, &answer) != nil {
		return
	}
	h.askVersions(ctx, p)
	for _, t := range answer.Data.ActiveTargets {
		h.targets++
		switch t.Health {
		case "up":
			h.up++
		case "down": // others have not been read yet
			h.down = append(h.down, fmt.Sprintf("%s %s: %s", t.Labels.Job, t.Labels.Instance, ownPort.ReplaceAllString(t.LastError, "")))
		}
	}
	slices.Sort(h.down)
}

// versionQuery finds the series by which programs tell their version: Prometheus' family and Grafana each have one of their own,
// OpenTelemetry's have target_info.
const versionQuery = `{__name__=~"[a-z_]+_build_info|target_info"}`

// askVersions asks Prometheus, who has read them, rather than each program in its own way.
func (h *addonHealth) askVersions(ctx context.Context, p program) {
	var answer struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if p.get(ctx, "/api/v1/query", url.Values{"query": {versionQuery}}, &answer) != nil {
		return
	}
	h.versions = map[string]string{}
	for _, r := range answer.Data.Result {
		if version := cmp.Or(r.Metric["version"], r.Metric["service.version"], r.Metric["service_version"]); version != "" {
			h.versions[r.Metric["job"]] = version
		}
	}
}

func (h *addonHealth) askLoki(ctx context.Context, p program, now time.Time) {
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]string }
		}
	}
	err := p.get(ctx, "/loki/api/v1/query_range", url.Values{
		"query": {`{namespace=~".+"}`}, "limit": {"1"}, "direction": {"backward"},
		"start": {strconv.FormatInt(now.Add(-healthWindow).UnixNano(), 10)}, "end": {strconv.FormatInt(now.UnixNano(), 10)},
	}, &answer)
	if err != nil {
		return
	}
	for _, stream := range answer.Data.Result {
		for _, v := range stream.Values {
			if ns, err := strconv.ParseInt(v[0], 10, 64); err == nil && time.Unix(0, ns).After(h.lastLog) {
				h.lastLog = time.Unix(0, ns)
			}
		}
	}
}

func (h *addonHealth) askJaeger(ctx context.Context, p program) {
	var services struct{ Data []string }
	if p.get(ctx, "/api/services", nil, &services) != nil {
		return
	}
	for _, service := range services.Data {
		var traces struct {
			Data []struct{ Spans []struct{ StartTime int64 } } // microseconds
		}
		if p.get(ctx, "/api/traces", url.Values{"service": {service}, "limit": {"1"}, "lookback": {healthWindow.String()}}, &traces) != nil {
			continue
		}
		for _, t := range traces.Data {
			for _, s := range t.Spans {
				if at := time.UnixMicro(s.StartTime); at.After(h.lastTrace) {
					h.lastTrace = at
				}
			}
		}
	}
}

// program is one that answers HTTP in a pod.
type program struct {
	pods backend.Pods
	pod  backend.PodRef
	port int
}

// client whose every connection goes to the program, whatever the URL names.
func (p program) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return p.pods.Dial(ctx, p.pod, p.port) },
	}}
}

// get asks for a JSON document.
func (p program) get(ctx context.Context, path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	target := url.URL{Scheme: "http", Host: p.pod.Pod, Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return fmt.Errorf("asking pod %s for %s: %w", p.pod.Pod, path, err)
	}
	resp, err := p.client().Do(req)
	if err != nil {
		return fmt.Errorf("asking pod %s for %s: %w", p.pod.Pod, path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking pod %s for %s: %s", p.pod.Pod, path, resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into)
}
