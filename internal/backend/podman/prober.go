package podman

import (
	"context"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/manifests"
)

// firstResults is how long attend waits for the first results of new watches, so that a restart of the operator does not
// make a running stack look unready for a moment.
const firstResults = 200 * time.Millisecond

// eagerPause is the pause between the first readiness probes of a container; it grows to the probe's period. A kubelet
// waits a whole period, and for that long everyone waits for the pod.
const eagerPause = 20 * time.Millisecond

// prober runs the probes of containers from outside, one watch for each start of a container.
type prober struct {
	engine  engine
	dial    dialer
	changed func(manifests.Owner)

	mu      sync.Mutex
	watches map[string]*watch
}

// watch of one start of one container.
type watch struct {
	owner   manifests.Owner
	probes  probes
	target  target
	started time.Time
	// restarts tells two starts within the same second apart.
	restarts int32
	cancel   context.CancelFunc
	wakeup   chan struct{}

	mu      sync.Mutex
	ready   bool
	since   time.Time
	message string
	first   chan struct{}
}

func newProber(e engine, dial dialer, changed func(manifests.Owner)) *prober {
	return &prober{engine: e, dial: dial, changed: changed, watches: map[string]*watch{}}
}

// attend watches the running containers of an owner's pods, and no others of that owner.
func (p *prober) attend(owner manifests.Owner, s *seen) {
	var fresh []*watch
	alive := map[string]bool{}
	for _, pod := range s.pods {
		if pod.labels[labelProbes] == "" || pod.labels[labelKind] == "Job" {
			continue
		}
		t := target{addr: anyAddress(s.net[pod.id].byNet), dial: p.dial}
		for _, c := range pod.containers {
			if c.state != "running" {
				continue
			}
			alive[c.id] = true
			t.container = c.id
			if w := p.begin(owner, c, pod, t); w != nil {
				fresh = append(fresh, w)
			}
		}
	}
	p.end(owner, alive)
	deadline := time.After(firstResults)
	for _, w := range fresh {
		select {
		case <-w.first:
		case <-deadline:
			return
		}
	}
}

// begin starts a watch unless this very start of the container is being watched, or there is nothing to probe.
func (p *prober) begin(owner manifests.Owner, c containerInfo, pod podInfo, t target) *watch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.watches[c.id]; ok {
		if old.started.Equal(c.started) && old.restarts == c.restarts && old.target.addr == t.addr {
			return nil
		}
		old.cancel()
	}
	var all map[string]probes
	_ = json.Unmarshal([]byte(pod.labels[labelProbes]), &all) // written by noteProbes
	spec := all[manifestName(pod.name, c.name)]
	if spec == (probes{}) {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{
		owner: owner, probes: spec, target: t, started: c.started, restarts: c.restarts,
		cancel: cancel, wakeup: make(chan struct{}, 1), first: make(chan struct{}), message: "not probed yet",
	}
	p.watches[c.id] = w
	go p.run(ctx, w)
	return w
}

// end stops the watches of an owner's containers that don't run any more.
func (p *prober) end(owner manifests.Owner, alive map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, w := range p.watches {
		if w.owner.Is(owner) && !alive[id] {
			w.cancel()
			delete(p.watches, id)
		}
	}
}

// wake has a container probed at once: something happened to it.
func (p *prober) wake(container string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, ok := p.watches[container]; ok {
		select {
		case w.wakeup <- struct{}{}:
		default:
		}
	}
}

// run is the life of a watch: startup, then readiness and liveness side by side.
func (p *prober) run(ctx context.Context, w *watch) {
	if s := w.probes.Startup; s != nil {
		if !p.untilStarted(ctx, w, s) {
			return
		}
	}
	if w.probes.Liveness != nil {
		go p.keepAlive(ctx, w)
	}
	if w.probes.Readiness == nil {
		p.set(w, true, "")
		return
	}
	p.followReadiness(ctx, w)
}

// untilStarted probes until the startup probe succeeds; beyond its threshold the container is restarted.
func (p *prober) untilStarted(ctx context.Context, w *watch, probe *corev1.Probe) bool {
	if !w.pause(ctx, time.Duration(probe.InitialDelaySeconds)*time.Second) {
		return false
	}
	begin, pause := time.Now(), eagerPause
	limit := seconds(probe.PeriodSeconds, 10) * time.Duration(orDefault(probe.FailureThreshold, 3))
	for {
		err := probeOnce(ctx, p.engine, probe, w.target)
		if err == nil {
			return true
		}
		p.set(w, false, "startup probe: "+err.Error())
		if time.Since(begin) > limit {
			_ = p.engine.restartContainer(ctx, w.target.container) // its start, or its failure to, comes as an event
			return false
		}
		if !w.pause(ctx, pause) {
			return false
		}
		pause = min(pause*3/2, seconds(probe.PeriodSeconds, 10))
	}
}

// followReadiness keeps the state of the readiness probe, with its thresholds.
func (p *prober) followReadiness(ctx context.Context, w *watch) {
	probe := w.probes.Readiness
	if !w.pause(ctx, time.Duration(probe.InitialDelaySeconds)*time.Second) {
		return
	}
	period, pause := seconds(probe.PeriodSeconds, 10), eagerPause
	successes, failures := int32(0), int32(0)
	for {
		err := probeOnce(ctx, p.engine, probe, w.target)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			successes, failures = successes+1, 0
		} else {
			successes, failures = 0, failures+1
		}
		switch was := w.isReady(); {
		case err == nil && (was || successes >= orDefault(probe.SuccessThreshold, 1)):
			p.set(w, true, "")
			pause = period
		case err != nil && (!was || failures >= orDefault(probe.FailureThreshold, 3)):
			p.set(w, false, "readiness probe: "+err.Error())
		}
		if !w.pause(ctx, pause) {
			return
		}
		pause = min(pause*3/2, period)
	}
}

// keepAlive restarts the container when its liveness probe fails too often.
func (p *prober) keepAlive(ctx context.Context, w *watch) {
	probe := w.probes.Liveness
	if !w.pause(ctx, time.Duration(probe.InitialDelaySeconds)*time.Second) {
		return
	}
	failures := int32(0)
	for w.pause(ctx, seconds(probe.PeriodSeconds, 10)) {
		err := probeOnce(ctx, p.engine, probe, w.target)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failures = 0
		default:
			failures++
		}
		if failures >= orDefault(probe.FailureThreshold, 3) {
			p.set(w, false, "liveness probe: "+err.Error())
			_ = p.engine.restartContainer(ctx, w.target.container) // its start, or its failure to, comes as an event
			return
		}
	}
}

// set notes a result and reports the owner when it differs from the one before.
func (p *prober) set(w *watch, ready bool, message string) {
	w.mu.Lock()
	changed := w.ready != ready || !ready && w.message != message
	if ready && !w.ready {
		w.since = time.Now()
	}
	w.ready, w.message = ready, message
	select {
	case <-w.first:
	default:
		close(w.first)
	}
	w.mu.Unlock()
	if changed {
		p.changed(w.owner)
	}
}

func (w *watch) isReady() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ready
}

// beat is when long pauses end. A program that watches much at rest then wakes for several at once, which costs half of what
// waking for each does (25 stacks: 1.9 % of a core, 4.2 % before). It is a fifth of the shortest period that a manifest can ask
// for.
const beat = 200 * time.Millisecond

// together shortens a pause, which begins now, by less than a beat to end with those of others. One of less than a second is
// left as it is. What is done at every beat so keeps its period, however long doing it takes.
func together(now time.Time, pause time.Duration) time.Duration {
	if pause < time.Second {
		return pause
	}
	return now.Add(pause).Truncate(beat).Sub(now)
}

// pause waits, or less when woken; it tells whether the watch goes on.
func (w *watch) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(together(time.Now(), d))
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.wakeup:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// state tells whether, and since when, every container of the pod runs and, where it has probes, is ready; if not, why.
func (p *prober) state(pod podInfo) (readiness, string) {
	if pod.infra.state != "running" || len(pod.containers) == 0 || pod.status == "Created" {
		return readiness{}, ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	r := readiness{ok: true}
	for _, c := range pod.containers {
		if c.state != "running" {
			return readiness{}, ""
		}
		since, watched := c.started, p.watches[c.id]
		if watched != nil {
			if !watched.started.Equal(c.started) || watched.restarts != c.restarts {
				return readiness{}, "not probed yet"
			}
			ready, ws, message := watched.result()
			if !ready {
				return readiness{}, message
			}
			since = ws
		}
		if since.After(r.since) {
			r.since = since
		}
	}
	return r, ""
}

func (w *watch) result() (ready bool, since time.Time, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ready, w.since, w.message
}

// anyAddress is one that the node reaches: on a network with a way out if there is one, where the node has had an address
// from the start, else on the first by name.
func anyAddress(byNet map[string]endpoint) netip.Addr {
	var found netip.Addr
	for _, name := range slices.Sorted(maps.Keys(byNet)) {
		if e := byNet[name]; e.routed {
			return e.addr
		} else if !found.IsValid() {
			found = e.addr
		}
	}
	return found
}
