package podman

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

var (
	testOwner = manifests.Owner{Kind: "MockupStack", Namespace: "ns", Name: "demo"}
	webRef    = manifests.Ref{Kind: "Deployment", Name: "web"}
	begin     = time.Unix(1_700_000_000, 0)
)

// wantedWeb is a stack with one network, one claim and a workload of n pods that is rolled as by default.
func wantedWeb(n int, hash string) wanted {
	w := wanted{owner: testOwner, policies: &policies{}}
	w.networks = []wantedNetwork{{networkInfo: networkInfo{name: "net"}}}
	w.claims = []wantedClaim{{volume: "data", retain: true, labels: map[string]string{labelClaim: "data", manifests.LabelReclaim: "Retain"}}}
	pod := wantedPod{
		hash: hash, attachments: []attachment{{network: "net"}}, claims: []string{"data"},
		images: []wantedImage{{ref: "image"}}, containers: map[string]wantedContainer{"web": {}},
	}
	named := func(name string) wantedPod { p := pod; p.name = name; return p }
	pod = named("ns-web-0")
	w.workloads = []wantedWorkload{{ref: webRef, main: "web", replicas: n, rollout: rollout{surge: 1}, pod: pod, named: named}}
	return w
}

// seenWeb is the same with everything there, running and ready.
func seenWeb(n int, hash string) seen {
	s := seen{
		networks: []networkInfo{{name: "net"}}, images: map[string]string{"image": "id"}, busy: map[string]work{},
		volumes: []volumeInfo{{name: "data", labels: map[string]string{labelClaim: "data", manifests.LabelReclaim: "Retain"}}},
		held:    map[string]hold{}, ready: map[string]readiness{}, net: map[string]podNetwork{},
		lives: map[string]life{}, edited: map[string]string{}, rejected: map[string]string{}, now: begin,
	}
	for i := range n {
		s.addPod(fmt.Sprintf("ns-web-%d", i), hash)
	}
	return s
}

// addPod has one more running, ready and as it was played.
func (s *seen) addPod(name, hash string) {
	p := podInfo{
		id: "id-" + name, name: name, status: "Running", created: s.now,
		labels:     map[string]string{labelHash: hash, labelKind: webRef.Kind, manifests.LabelWorkload: webRef.Name},
		infra:      containerInfo{id: "infra-" + name, state: "running"},
		containers: []containerInfo{{id: "c-" + name, name: containerName(name, "web"), state: "running", started: s.now, image: "image", imageID: "id"}},
	}
	s.pods = append(s.pods, p)
	s.ready[p.id] = readiness{ok: true, since: s.now}
	s.net[p.id] = podNetwork{netns: "/run/netns/" + name, byNet: map[string]endpoint{"net": {}}}
}

func (s *seen) unready(name string) { s.ready["id-"+name] = readiness{} }

func said(steps []step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, s.String())
	}
	return out
}

func (w wanted) with(change func(*wantedWorkload)) wanted { change(&w.workloads[0]); return w }

func TestPlan(t *testing.T) {
	removal := func(w wanted) wanted { w.remove, w.workloads, w.networks = true, nil, nil; return w }
	recreate := func(w *wantedWorkload) { w.rollout = rollout{recreate: true} }
	borrowing := func(w wanted) wanted { w.borrowed, w.networks = w.networks, nil; return w }
	lent := func(s *seen) { s.borrowed, s.networks = s.networks, nil }
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
		{name: "a missing pod is played", want: wantedWeb(1, "a"), then: []string{"play pod ns-web-0"}},
		{name: "no pod is played without its image", want: wantedWeb(1, "a"), seen: func(s *seen) { s.images = nil }},
		{name: "nothing is taken down for a missing image", want: wantedWeb(1, "b"), from: 1, hash: "a",
			seen: func(s *seen) { s.images = nil }},
		{name: "nothing is taken down for a missing image, not even one that is recreated", want: wantedWeb(1, "b").with(recreate),
			from: 1, hash: "a", seen: func(s *seen) { s.images = nil }},
		{name: "no pod is played under a Service name of somebody else",
			want: wantedWeb(1, "a").with(func(w *wantedWorkload) {
				named := w.named
				w.named = func(name string) wantedPod { p := named(name); p.services = []string{"web"}; return p }
			}), seen: func(s *seen) { s.taken = map[string]string{"web": "other"} }},

		{name: "no pod is played before a borrowed network is there, which is not made for it", want: borrowing(wantedWeb(1, "a")),
			seen: func(s *seen) { s.networks = nil }},
		{name: "a pod is played on a borrowed network", want: borrowing(wantedWeb(1, "a")), seen: lent, then: []string{"play pod ns-web-0"}},
		{name: "a borrowed network is left alone", want: borrowing(wantedWeb(0, "a")), seen: lent},

		{name: "a changed pod gets a successor first", want: wantedWeb(1, "b"), from: 1, hash: "a", then: []string{"play pod ns-web-1"}},
		{name: "the old pod stays until the new one is ready", want: wantedWeb(1, "b"), from: 1, hash: "a",
			seen: func(s *seen) { s.addPod("ns-web-1", "b"); s.unready("ns-web-1") }},
		{name: "the old pod goes when the new one is ready", want: wantedWeb(1, "b"), from: 1, hash: "a",
			seen: func(s *seen) { s.addPod("ns-web-1", "b") }, then: []string{"remove pod ns-web-0"}},
		{name: "a new pod counts when it has been ready for long enough",
			want: wantedWeb(1, "b").with(func(w *wantedWorkload) { w.rollout.minReady = 5 * time.Second }), from: 1, hash: "a",
			seen: func(s *seen) { s.addPod("ns-web-1", "b") }},
		{name: "a surge of two", want: wantedWeb(3, "b").with(func(w *wantedWorkload) { w.rollout.surge = 2 }), from: 3, hash: "a",
			then: []string{"play pod ns-web-3", "play pod ns-web-4"}},
		{name: "without surge an old pod goes first", want: wantedWeb(2, "b").with(func(w *wantedWorkload) { w.rollout = rollout{unavailable: 1} }),
			from: 2, hash: "a", then: []string{"remove pod ns-web-0"}},
		{name: "an old pod that does not serve goes first", want: wantedWeb(2, "b").with(func(w *wantedWorkload) { w.rollout = rollout{unavailable: 1} }),
			from: 2, hash: "a", seen: func(s *seen) { s.unready("ns-web-1") }, then: []string{"remove pod ns-web-1"}},
		{name: "a failing roll-out stops", want: wantedWeb(3, "b"), from: 3, hash: "a",
			seen: func(s *seen) { s.addPod("ns-web-3", "b"); s.unready("ns-web-3") }},
		{name: "what failed makes way for what is wanted next", want: wantedWeb(1, "c"), from: 1, hash: "a",
			seen: func(s *seen) { s.addPod("ns-web-1", "b"); s.unready("ns-web-1") }, then: []string{"remove pod ns-web-1"}},
		{name: "back to the old template, the old pod simply stays", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.addPod("ns-web-1", "b"); s.unready("ns-web-1") }, then: []string{"remove pod ns-web-1"}},
		{name: "a pod that is being played is not played again", want: wantedWeb(1, "a"),
			seen: func(s *seen) { s.busy["ns-web-0"] = work{playPod, webRef, "a"} }},
		{name: "a pod that is leaving does not count", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.busy["ns-web-0"] = work{removePod, webRef, ""} }, then: []string{"play pod ns-web-1"}},
		{name: "a single pod is recreated in one go", want: wantedWeb(1, "b").with(recreate), from: 1, hash: "a",
			then: []string{"replace pod ns-web-0"}},
		{name: "Recreate ends all old pods before the first new one", want: wantedWeb(2, "b").with(recreate), from: 2, hash: "a",
			then: []string{"remove pod ns-web-0", "remove pod ns-web-1"}},
		{name: "Recreate waits until the last old pod is gone", want: wantedWeb(2, "b").with(recreate), from: 1, hash: "a",
			seen: func(s *seen) { s.busy["ns-web-0"] = work{removePod, webRef, ""} }},
		{name: "surplus pods are removed, the last first", want: wantedWeb(1, "a"), from: 2, hash: "a", then: []string{"remove pod ns-web-1"}},
		{name: "surplus pods that don't serve go before those that do", want: wantedWeb(1, "a"), from: 2, hash: "a",
			seen: func(s *seen) { s.unready("ns-web-0") }, then: []string{"remove pod ns-web-0"}},
		{name: "pods of a broken workload stay", from: 1, hash: "a",
			want: wantedWeb(1, "a").with(func(w *wantedWorkload) { w.broken, w.named = fmt.Errorf("no ConfigMap"), nil })},
		{name: "what failed is held back", want: wantedWeb(1, "a"),
			seen: func(s *seen) { s.held["ns-web-0"] = hold{begin.Add(time.Second), "a"} }},
		{name: "what failed is tried again", want: wantedWeb(1, "a"),
			seen: func(s *seen) { s.held["ns-web-0"] = hold{begin, "a"} }, then: []string{"play pod ns-web-0"}},
		{name: "what failed is tried at once in another form", want: wantedWeb(1, "b"),
			seen: func(s *seen) { s.held["ns-web-0"] = hold{begin.Add(time.Second), "a"} }, then: []string{"play pod ns-web-0"}},
		{name: "a rebuilt image is rolled out where the policy is Always",
			want: wantedWeb(1, "a").with(func(w *wantedWorkload) { w.pod.images = []wantedImage{{"image", corev1.PullAlways}} }), from: 1, hash: "a",
			seen: func(s *seen) { s.images["image"] = "rebuilt" }, then: []string{"play pod ns-web-1"}},
		{name: "a rebuilt image is left alone elsewhere", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.images["image"] = "rebuilt" }},
		{name: "a pod edited by hand is rolled", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.edited["c-ns-web-0"] = "its memory limit" }, then: []string{"play pod ns-web-1"}},
		{name: "a pod that lost a container is rolled", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.pods[0].containers[0].name = "else" }, then: []string{"play pod ns-web-1"}},

		{name: "a half-made pod goes", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.pods[0].status = "Created" }, then: []string{"remove pod ns-web-0", "play pod ns-web-1"}},
		{name: "a dead infra container means a restart of the pod", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.pods[0].infra.state = "exited" }, then: []string{"restart pod ns-web-0"}},
		{name: "an infra container that ended with the last container waits for its back-off", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) {
				s.end(begin.Add(-9*time.Second), life{crashes: 2, held: true})
				s.pods[0].infra.state = "exited"
			}},
		{name: "a container that just ended is Podman's to restart", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.end(begin.Add(-time.Second), life{crashes: 1}) }},
		{name: "a container that stays down is started", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.end(begin.Add(-3*time.Second), life{crashes: 1}) }, then: []string{"start container of pod ns-web-0"}},
		{name: "a container that ended once is taken over", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.lives["c-ns-web-0"] = life{crashes: 1} }, then: []string{"hold container of pod ns-web-0"}},
		{name: "one that ended twice waits for ten seconds", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.end(begin.Add(-9*time.Second), life{crashes: 2, held: true}) }},
		{name: "one that ended twice is started after ten seconds", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.end(begin.Add(-10*time.Second), life{crashes: 2, held: true}) }, then: []string{"start container of pod ns-web-0"}},
		{name: "one that ended often waits for five minutes at most", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.end(begin.Add(-5*time.Minute), life{crashes: 40, held: true}) }, then: []string{"start container of pod ns-web-0"}},
		{name: "one that ran for ten minutes is given back", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) {
				s.lives["c-ns-web-0"] = life{crashes: 3, held: true}
				s.pods[0].containers[0].started = begin.Add(-10 * time.Minute)
			}, then: []string{"release container of pod ns-web-0"}},
		{name: "a pod that lost a network joins it again", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.net["id-ns-web-0"] = podNetwork{} }, then: []string{"join networks of pod ns-web-0"}},
		{name: "host ports that lead nowhere are opened anew", want: wantedWeb(1, "a"), from: 1, hash: "a",
			seen: func(s *seen) { s.shut = map[string]bool{"id-ns-web-0": true} }, then: []string{"open host ports of pod ns-web-0"}},
		{name: "changed configuration is reloaded", want: wantedWeb(1, "a").with(reloading), from: 1, hash: "a",
			seen: func(s *seen) { s.loaded("old") }, then: []string{"reload configuration of pod ns-web-0"}},
		{name: "loaded configuration is left alone", want: wantedWeb(1, "a").with(reloading), from: 1, hash: "a",
			seen: func(s *seen) { s.loaded("new") }},
		{name: "refused configuration is not tried again", want: wantedWeb(1, "a").with(reloading), from: 1, hash: "a",
			seen: func(s *seen) { s.loaded("old"); s.rejected["ns-web-0"] = "new" }},

		{name: "removal takes pods first", want: removal(wantedWeb(1, "a")), from: 1, hash: "a", then: []string{"remove pod ns-web-0"}},
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
				volumeInfo{name: "web-0.cfg", labels: map[string]string{labelPod: "ns-web-0"}})
		}, then: []string{"remove volume old.cfg"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := seenWeb(c.from, c.hash)
			if c.seen != nil {
				c.seen(&s)
			}
			gomega.NewWithT(t).Expect(said(plan(c.want, s).steps)).To(gomega.Equal(c.then))
		})
	}
}

// end has the container of the first pod ended at a time.
func (s *seen) end(at time.Time, l life) {
	c := &s.pods[0].containers[0]
	c.state, c.exited = "exited", at
	s.lives[c.id] = l
	s.unready(s.pods[0].name)
}

func reloading(w *wantedWorkload) {
	named := w.named
	w.pod.reload = &reload{digest: "new"}
	w.named = func(name string) wantedPod { p := named(name); p.reload = w.pod.reload; return p }
}

func (s *seen) loaded(digest string) {
	s.volumes = append(s.volumes, volumeInfo{name: "ns-web-0.loaded", labels: map[string]string{labelPod: "ns-web-0", labelLoaded: digest}})
}

func TestLife(t *testing.T) {
	g := gomega.NewWithT(t)
	at := func(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }
	run := func(started int, restarts int32) containerInfo {
		return containerInfo{state: "running", started: at(started), restarts: restarts}
	}
	stop := func(started, exited int) containerInfo {
		return containerInfo{state: "exited", started: at(started), exited: at(exited)}
	}
	l := life{}.after(run(0, 0))
	g.Expect(l.crashes).To(gomega.Equal(0))
	l = l.after(run(5, 1))
	g.Expect(l.crashes).To(gomega.Equal(1), "Podman restarted it")
	l = l.after(run(5, 1))
	g.Expect(l.crashes).To(gomega.Equal(1), "counted once")
	l = l.after(stop(5, 9)).after(stop(5, 9))
	g.Expect(l.crashes).To(gomega.Equal(2), "it ended and stays so")
	l = l.after(run(20, 0)).after(stop(20, 21))
	g.Expect(l.crashes).To(gomega.Equal(3), "started from here, it ended again")
	g.Expect(l.wait()).To(gomega.Equal(20 * time.Second))
	l = l.after(run(41, 0)).after(stop(41, 41+600))
	g.Expect(l.crashes).To(gomega.Equal(1), "ten minutes of running are forgiven")

	for _, ran := range []int{3, 700} {
		l = life{}.after(run(0, 0)).after(stop(0, ran)).after(run(ran+1, 1))
		g.Expect(l.crashes).To(gomega.Equal(1), "one end, though it was seen before Podman restarted it")
		g.Expect(l.total).To(gomega.Equal(1))
	}

	l = life{}.after(stop(0, 0))
	l = l.begin(stop(0, 0))
	g.Expect(l.after(stop(0, 0)).total).To(gomega.Equal(1), "a look from before the start")
	g.Expect(l.after(stop(0, 0)).after(run(0, 0)).total).To(gomega.Equal(1), "counted once, though it is the same second")
	g.Expect(l.after(run(0, 1)).total).To(gomega.Equal(2), "Podman started it once more")
	g.Expect(l.after(run(1, 0)).after(stop(1, 2)).total).To(gomega.Equal(1))
	g.Expect(l.after(run(1, 0)).after(stop(1, 2)).crashes).To(gomega.Equal(2))
	g.Expect(life{}.after(stop(0, 0)).after(run(1, 0)).begin(stop(0, 0)).total).To(gomega.Equal(1), "it was seen before it was noted")
	g.Expect(life{}.after(run(0, 7)).crashes).To(gomega.Equal(1), "what was before this process counts as one")
}

// TestRemovalReportsWhatPodsLeaveBehind keeps the last look from being taken while copies of Secrets are still there.
func TestRemovalReportsWhatPodsLeaveBehind(t *testing.T) {
	s := seenWeb(0, "")
	s.volumes = append(s.volumes,
		volumeInfo{name: "web-0.secret", labels: map[string]string{labelPod: "ns-web-0"}},
		volumeInfo{name: "web-0.config", labels: map[string]string{labelPod: "ns-web-0"}},
		volumeInfo{name: "gone.retain", labels: map[string]string{labelRetains: "gone"}},
		volumeInfo{name: "data.retain", labels: map[string]string{labelRetains: "data"}})
	left := func(w wanted) string {
		var names []string
		for _, o := range judge(w, s, knowledge{}).Objects {
			if o.Phase == backend.Terminating {
				names = append(names, o.Ref.String())
			}
		}
		return strings.Join(names, " ")
	}
	if got := left(wanted{owner: testOwner, remove: true}); got != "NetworkPolicy/ Pod/ns-web-0 Volume/gone.retain" {
		t.Errorf("left are %q", got)
	}
	if got := left(wantedWeb(0, "a")); strings.Contains(got, "Pod") || strings.Contains(got, "Volume") {
		t.Errorf("nothing is to go, and left are %q", got)
	}
}
