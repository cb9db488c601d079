package podman

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mockup.dev/mockup/manifests"
)

// TestPlanConverges carries plans out on a simulated Podman from random states, with random delays: it comes to rest as
// wanted, never has more or fewer pods than a roll-out may, never takes the last ready pod of a workload that can surge,
// and never names what is not the owner's.
func TestPlanConverges(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 3000 {
		want := wantedWeb(random.IntN(4), "new")
		w := &want.workloads[0]
		w.rollout = rollout{surge: random.IntN(3), unavailable: random.IntN(2), minReady: time.Duration(random.IntN(2)) * time.Second}
		w.rollout.recreate = random.IntN(4) == 0
		if w.rollout.surge+w.rollout.unavailable == 0 {
			w.rollout.surge = 1
		}
		sim := simulated{t: t, random: random, w: want, seen: randomSeen(random)}
		sim.most = len(sim.pods)
		sim.run()
	}
}

// simulated is a Podman that does as it is told, sooner or later.
type simulated struct {
	t      *testing.T
	random *rand.Rand
	w      wanted
	seen
	doing []step
	log   []string
	// most is how many pods there were at the start.
	most int
}

func (m *simulated) run() {
	serving := m.serving()
	for round := 0; ; round++ {
		todo := plan(m.w, m.seen)
		for _, s := range todo.steps {
			m.log = append(m.log, fmt.Sprintf("%d: %s", round, s))
			m.check(s)
			m.begin(s)
		}
		m.bounds(&serving)
		if len(todo.steps) == 0 && len(m.doing) == 0 && m.settled() {
			return
		}
		if round == 200 {
			m.t.Fatalf("not at rest after %d rounds: %v from %+v", round, m.log, m.pods)
		}
		m.now = m.now.Add(time.Second)
		m.progress()
	}
}

// check holds every step against what may never be done.
func (m *simulated) check(s step) {
	if s.pod.id != "" && s.pod.workload() != webRef {
		m.t.Fatalf("a pod of another workload is touched: %s", s)
	}
	if _, busy := m.busy[s.podName()]; busy && s.podName() != "" {
		m.t.Fatalf("a busy pod is touched: %s", s)
	}
}

// serving counts the pods that are available and that nothing is done to.
func (m *simulated) serving() int {
	n := 0
	for _, p := range m.pods {
		if r := m.ready[p.id]; r.ok && !m.busy[p.name].action.endsService() && !m.now.Before(r.since.Add(m.w.workloads[0].rollout.minReady)) {
			n++
		}
	}
	return n
}

// bounds holds what is there against what a roll-out promises: what served goes on serving, as far as was asked for.
func (m *simulated) bounds(before *int) {
	w := m.w.workloads[0]
	now := m.serving()
	least := min(*before, w.replicas-w.rollout.unavailable)
	if !w.rollout.recreate && now < least {
		m.t.Fatalf("%d pods serve, %d did before and %d must: %v", now, *before, least, m.log)
	}
	*before = now
	p := planner{wanted: m.w, seen: m.seen}
	c := p.crew(&w)
	if total := len(c.fresh) + len(c.old); total > max(m.most, w.replicas+w.rollout.surge) {
		m.t.Fatalf("%d pods where %d are wanted and %d were: %v", total, w.replicas, m.most, m.log)
	}
	if w.rollout.recreate && slices.ContainsFunc(m.doing, func(s step) bool { return s.action == playPod }) && len(c.old)+c.leaving > 0 {
		m.t.Fatalf("a new pod is played beside old ones: %v", m.log)
	}
}

func (m *simulated) begin(s step) {
	switch s.action {
	case createNetwork:
		m.networks = append(m.networks, s.network)
	case createVolume:
		m.volumes = append(m.volumes, s.volume)
	case holdContainer, releaseContainer:
		m.lives[s.id] = life{held: s.action == holdContainer}
	default:
		m.busy[s.podName()] = s.work()
		m.doing = append(m.doing, s)
	}
}

// progress has about half of what is being done come to its end; some of it fails.
func (m *simulated) progress() {
	m.busy, m.ready, m.net = maps.Clone(m.busy), maps.Clone(m.ready), maps.Clone(m.net)
	m.pods = slices.Clone(m.pods)
	m.doing = slices.DeleteFunc(m.doing, func(s step) bool {
		if m.random.IntN(2) == 0 {
			return false
		}
		name := s.podName()
		delete(m.busy, name)
		if s.action != removePod && m.random.IntN(8) == 0 { // what could not be removed would count again
			m.held[name] = hold{m.now.Add(time.Second), s.work().hash}
			return true
		}
		old, was := s.pod.labels[labelHash], m.ready[s.pod.id]
		m.pods = slices.DeleteFunc(m.pods, func(p podInfo) bool { return p.name == name })
		switch s.action {
		case playPod, replacePod:
			m.addPod(name, s.want.hash)
		case removePod:
		default:
			m.addPod(name, old)
			if was.ok {
				m.ready[s.pod.id] = was
			}
		}
		return true
	})
	slices.SortFunc(m.pods, func(a, b podInfo) int { return ordinal(a.name) - ordinal(b.name) })
}

func (m *simulated) settled() bool {
	if len(m.pods) != m.w.workloads[0].replicas {
		return false
	}
	return !slices.ContainsFunc(m.pods, func(p podInfo) bool {
		return p.labels[labelHash] != "new" || !m.ready[p.id].ok || p.halfMade()
	})
}

func randomSeen(r *rand.Rand) seen {
	s := seenWeb(r.IntN(6), "old")
	if r.IntN(3) == 0 {
		s.networks = nil
	}
	for i := range s.pods {
		p := &s.pods[i]
		p.labels = map[string]string{labelHash: []string{"old", "new", "older"}[r.IntN(3)], labelKind: webRef.Kind, manifests.LabelWorkload: webRef.Name}
		switch r.IntN(6) {
		case 0:
			p.infra.state, s.ready[p.id] = "exited", readiness{}
		case 1:
			p.containers[0].state, p.containers[0].exited, s.ready[p.id] = "exited", begin.Add(-time.Hour), readiness{}
		case 2:
			p.status, s.ready[p.id] = "Created", readiness{}
		case 3:
			s.net[p.id] = podNetwork{}
		}
	}
	return s
}
