package podman

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"mockup.dev/mockup/manifests"
)

var (
	testOwner = manifests.Owner{Kind: "MockupStack", Namespace: "default", Name: "demo"}
	webRef    = manifests.Ref{Kind: "Deployment", Name: "demo-web"}
	begin     = time.Unix(1_700_000_000, 0)
)

// wantedWeb is a stack with one network, one claim and n pods of one workload.
func wantedWeb(n int, hash string) wanted {
	w := wanted{owner: testOwner}
	w.networks = []wantedNetwork{{networkInfo: networkInfo{name: "net"}}}
	w.claims = []wantedClaim{{volume: "data", retain: true, labels: map[string]string{labelClaim: "data", manifests.LabelReclaim: "Retain"}}}
	workload := wantedWorkload{ref: webRef, main: "web"}
	for i := range n {
		workload.pods = append(workload.pods, wantedPod{
			name: fmt.Sprintf("web-%d", i), hash: hash, attachments: []attachment{{network: "net"}}, claims: []string{"data"},
			images: []wantedImage{{ref: "image"}},
		})
	}
	w.workloads = []wantedWorkload{workload}
	return w
}

// seenWeb is the same with everything there, running and ready.
func seenWeb(n int, hash string) seen {
	s := seen{
		networks: []networkInfo{{name: "net"}}, images: map[string]bool{"image": true}, busy: map[string]bool{},
		volumes: []volumeInfo{{name: "data", labels: map[string]string{labelClaim: "data", manifests.LabelReclaim: "Retain"}}},
		held:    map[string]time.Time{}, ready: map[string]bool{}, endpoints: map[string]map[string]endpoint{}, now: begin,
	}
	for i := range n {
		p := runningPod(fmt.Sprintf("web-%d", i), hash)
		s.pods = append(s.pods, p)
		s.ready[p.id] = true
		s.endpoints[p.id] = map[string]endpoint{"net": {}}
	}
	return s
}

func runningPod(name, hash string) podInfo {
	return podInfo{
		id: "id-" + name, name: name, status: "Running",
		labels:     map[string]string{labelHash: hash, labelKind: webRef.Kind, manifests.LabelWorkload: webRef.Name},
		infra:      containerInfo{id: "infra-" + name, state: "running"},
		containers: []containerInfo{{id: "c-" + name, name: name + "-web", state: "running"}},
	}
}

func said(steps []step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, s.String())
	}
	return out
}

func TestPlan(t *testing.T) {
	removal := func(w wanted) wanted { w.remove, w.workloads, w.networks = true, nil, nil; return w }
	cases := []struct {
		name string
		want wanted
		seen func(*seen)
		from int
		hash string
		then []string
	}{
		{name: "nothing to do", want: wantedWeb(1, "a"), from: 1, hash: "a"},
		{name: "networks and volumes come first", want: wantedWeb(1, "a"),
			seen: func(s *seen) { s.networks, s.volumes = nil, nil }, then: []string{"create network net", "create volume data"}},
		{name: "a missing pod is played", want: wantedWeb(1, "a"), then: []string{"play pod web-0"}},
		{name: "no pod is played without its image", want: wantedWeb(1, "a"), seen: func(s *seen) { s.images = nil }},
		{name: "nothing is taken down for a missing image", want: wantedWeb(1, "b"), from: 1, hash: "a",
			seen: func(s *seen) { s.images = nil }},
		{name: "no pod is played under a Service name of somebody else", want: func() wanted {
			w := wantedWeb(1, "a")
			w.workloads[0].pods[0].services = []string{"web"}
			return w
		}(), seen: func(s *seen) { s.taken = map[string]string{"web": "other"} }},
		{name: "a changed pod is replaced", want: wantedWeb(1, "b"), from: 1, hash: "a", then: []string{"replace pod web-0"}},
		{name: "changed pods are replaced one at a time", want: wantedWeb(3, "b"), from: 3, hash: "a", then: []string{"replace pod web-0"}},
		{name: "the next waits until the last is ready", want: wantedWeb(2, "b"), from: 2, hash: "a",
			seen: func(s *seen) { s.pods[0].labels[labelHash] = "b"; s.ready["id-web-0"] = false }},
		{name: "a changed pod that does not serve need not wait", want: wantedWeb(2, "b"), from: 2, hash: "a",
			seen: func(s *seen) { s.ready = map[string]bool{} }, then: []string{"replace pod web-0", "replace pod web-1"}},
		{name: "Recreate replaces all at once", want: func() wanted { w := wantedWeb(2, "b"); w.workloads[0].recreate = true; return w }(),
			from: 2, hash: "a", then: []string{"replace pod web-0", "replace pod web-1"}},
		{name: "busy pods are left alone", want: wantedWeb(1, "b"), from: 1, hash: "a", seen: func(s *seen) { s.busy["web-0"] = true }},
		{name: "what failed is held back", want: wantedWeb(1, "a"), seen: func(s *seen) { s.held["web-0"] = begin.Add(time.Second) }},
		{name: "what failed is tried again", want: wantedWeb(1, "a"),
			seen: func(s *seen) { s.held["web-0"] = begin }, then: []string{"play pod web-0"}},
		{name: "a half-made pod is replaced", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.pods[0].status = "Created" }, then: []string{"replace pod web-0"}},
		{name: "a dead infra container means a restart of the pod", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.pods[0].infra.state = "exited" }, then: []string{"restart pod web-0"}},
		{name: "a container that just died is Podman's to restart", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) {
				s.pods[0].containers[0].state, s.pods[0].containers[0].exited = "exited", begin.Add(-time.Second)
			}},
		{name: "a container that stays down is started", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) {
				s.pods[0].containers[0].state, s.pods[0].containers[0].exited = "exited", begin.Add(-3*time.Second)
			}, then: []string{"start container web-0"}},
		{name: "a pod that lost the names of its Services is given them again", want: func() wanted {
			w := wantedWeb(1, "a")
			w.workloads[0].pods[0].aliases = []string{"web"}
			return w
		}(), from: 1, hash: "a", then: []string{"name pod web-0"}},
		{name: "a pod that is not ready is given no names", want: func() wanted {
			w := wantedWeb(1, "a")
			w.workloads[0].pods[0].aliases = []string{"web"}
			return w
		}(), from: 1, hash: "a", seen: func(s *seen) { s.ready = map[string]bool{} }},
		{name: "a pod that lost a network joins it again", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.endpoints = nil }, then: []string{"name pod web-0"}},
		{name: "surplus pods are removed", want: wantedWeb(1, "a"), from: 2, hash: "a", then: []string{"remove pod web-1"}},
		{name: "pods of a broken workload stay", want: func() wanted {
			w := wantedWeb(0, "")
			w.workloads[0].broken = fmt.Errorf("no ConfigMap")
			return w
		}(), from: 1, hash: "a"},
		{name: "removal takes pods first", want: removal(wantedWeb(1, "a")), from: 1, hash: "a", then: []string{"remove pod web-0"}},
		{name: "removal keeps retained volumes", want: removal(wantedWeb(1, "a")), then: []string{"remove network net"}},
		{name: "removal takes volumes whose policy is Delete", want: func() wanted {
			w := removal(wantedWeb(1, "a"))
			w.claims[0].retain = false
			return w
		}(), seen: func(s *seen) { s.volumes[0].labels[manifests.LabelReclaim] = "Delete" },
			then: []string{"remove volume data", "remove network net"}},
		{name: "what is retained now was not always so, and is retained", want: removal(wantedWeb(1, "a")),
			seen: func(s *seen) { s.volumes[0].labels[manifests.LabelReclaim] = "Delete" },
			then: []string{"create volume data.retain", "remove network net"}},
		{name: "what was marked as retained stays without a word", want: wanted{owner: testOwner, remove: true}, seen: func(s *seen) {
			s.volumes[0].labels[manifests.LabelReclaim] = "Delete"
			s.volumes = append(s.volumes, volumeInfo{name: "data.retain", labels: map[string]string{labelRetains: "data"}})
		}, then: []string{"remove network net"}},
		{name: "a marker goes with its volume", want: wanted{owner: testOwner, remove: true}, seen: func(s *seen) {
			s.volumes = []volumeInfo{{name: "data.retain", labels: map[string]string{labelRetains: "data"}}}
		}, then: []string{"remove volume data.retain", "remove network net"}},
		{name: "configuration goes with its pod", want: wantedWeb(1, "a"), from: 1, hash: "a", seen: func(s *seen) {
			s.volumes = append(s.volumes, volumeInfo{name: "old.cfg", labels: map[string]string{labelPod: "old"}},
				volumeInfo{name: "web-0.cfg", labels: map[string]string{labelPod: "web-0"}})
		}, then: []string{"remove volume old.cfg"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := seenWeb(c.from, c.hash)
			if c.seen != nil {
				c.seen(&s)
			}
			gomega.NewWithT(t).Expect(said(plan(c.want, s))).To(gomega.Equal(c.then))
		})
	}
}

// TestPlanConverges carries plans out on a simulated Podman from random states: it comes to rest as wanted, never takes
// a ready pod of a workload with others unless all of these are ready, and never names what is not the owner's.
func TestPlanConverges(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		n := 1 + random.IntN(4)
		want, s := wantedWeb(n, "new"), randomSeen(random)
		for round := 0; ; round++ {
			steps := plan(want, s)
			if len(steps) == 0 && settled(want, s) {
				break
			}
			if round == 50 {
				t.Fatalf("not at rest after %d rounds: %v from %+v", round, said(steps), s)
			}
			taken := 0
			for _, st := range steps {
				if st.action == replacePod && s.ready[st.pod.id] && n > 1 {
					taken++
				}
			}
			if taken > 1 {
				t.Fatalf("%d ready pods are taken down at once: %v", taken, said(steps))
			}
			s = carryOut(s, steps)
		}
	}
}

func randomSeen(r *rand.Rand) seen {
	s := seenWeb(r.IntN(6), []string{"old", "new"}[r.IntN(2)])
	if r.IntN(3) == 0 {
		s.networks = nil
	}
	for i := range s.pods {
		p := &s.pods[i]
		p.labels = map[string]string{labelHash: []string{"old", "new"}[r.IntN(2)], labelKind: webRef.Kind, manifests.LabelWorkload: webRef.Name}
		switch r.IntN(5) {
		case 0:
			p.infra.state, s.ready[p.id] = "exited", false
		case 1:
			p.containers[0].state, p.containers[0].exited, s.ready[p.id] = "exited", begin.Add(-time.Hour), false
		case 2:
			p.status, s.ready[p.id] = "Created", false
		}
	}
	return s
}

func settled(w wanted, s seen) bool {
	if len(s.pods) != len(w.workloads[0].pods) {
		return false
	}
	for _, want := range w.workloads[0].pods {
		i := slices.IndexFunc(s.pods, func(p podInfo) bool { return p.name == want.name && p.is(want) && s.ready[p.id] })
		if i < 0 {
			return false
		}
	}
	return true
}

// carryOut is a Podman that does as it is told, at once.
func carryOut(s seen, steps []step) seen {
	for _, st := range steps {
		name := st.podName()
		s.pods = slices.Clone(s.pods)
		switch st.action {
		case createNetwork:
			s.networks = append(s.networks, st.network)
		case createVolume:
			s.volumes = append(s.volumes, st.volume)
		case removePod, replacePod, playPod, restartPod, startContainer:
			s.pods = slices.DeleteFunc(s.pods, func(p podInfo) bool { return p.name == name })
			if st.action != removePod {
				hash := st.pod.labels[labelHash]
				if st.action == replacePod || st.action == playPod {
					hash = st.want.hash
				}
				p := runningPod(name, hash)
				s.pods, s.ready[p.id], s.endpoints[p.id] = append(s.pods, p), true, map[string]endpoint{"net": {}}
			}
		}
	}
	slices.SortFunc(s.pods, func(a, b podInfo) int { return strings.Compare(a.name, b.name) })
	return s
}
