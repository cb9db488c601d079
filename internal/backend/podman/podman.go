// Package podman runs sets of manifests on Podman through kube play, one call for each pod, and supplies what kube play
// lacks of a cluster: identity, pruning, roll-outs, readiness, Services, policies, back-off, Jobs and repair.
//
//	translate (pure)      what the manifests mean in Podman's terms
//	observe               what is there: one listing
//	plan (pure)           the steps between the two
//	nodeState (pure)      who bears which names and addresses, for the node agent (package node)
//	tasks                 steps that take time, which re-enter through Changes
//	judge (pure)          what is reported
package podman

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/podman/node"
	"mockup.dev/mockup/internal/host"
	"mockup.dev/mockup/manifests"
)

// Options of New.
type Options struct {
	// URI of Podman's socket, e.g. unix:///run/podman/podman.sock.
	URI string
	Log logr.Logger
	// Resync is the pause after which every owner is reported as changed, in case an event was missed; the default is
	// five minutes. A pass costs Podman a list of all its containers.
	Resync time.Duration
	// Node is the program that runs the node agent, to which `node --dir DIR` is added; the default is this one.
	Node string
}

// Backend is Podman on this host.
type Backend struct {
	engine  engine
	node    nodeAgent
	log     logr.Logger
	resync  time.Duration
	changes *changes
	tasks   *tasks
	prober  *prober
	doors   *doors
	images  *pulls
	tests   *running
	exits   *exits
	holders *holders

	// lacking is what this host can't do for containers; nil for nothing.
	lacking []host.Lack

	// begin is run when changes are first asked for; nil for nothing.
	begin func(ctx context.Context)

	mu sync.Mutex
	// infra maps the ID of each infra container, which bears no label, to its owner.
	infra map[string]manifests.Owner
	// nets by infra container: they change with a restart, or by this backend's own doing.
	nets map[string]knownNetwork
	// memory of each owner between passes.
	memory map[string]*memory
	// claims of each owner, as they are wanted.
	claims map[string][]wantedClaim
	// where Podman is, once it has said so.
	where place
}

var _ backend.Backend = (*Backend)(nil)

// nodeAgent is the part of package node's client that is used here.
type nodeAgent interface {
	Put(ctx context.Context, state node.State) (node.Answer, error)
	Delete(ctx context.Context, owner string) error
	// Usage of a folder of Podman's storage, in bytes.
	Usage(ctx context.Context, folder string) (int64, error)
}

// New returns a backend for the Podman at o.URI. It connects with the first call.
func New(o Options) *Backend {
	c := &client{uri: o.URI}
	agent := &agent{engine: c, program: o.Node, log: o.Log.WithName("node")}
	b := newBackend(c, agent, agent.dial, o)
	b.begin = agent.start
	b.lacking = host.This().Lacks()
	return b
}

func newBackend(e engine, n nodeAgent, dial dialer, o Options) *Backend {
	if o.Resync == 0 {
		o.Resync = 5 * time.Minute
	}
	b := &Backend{
		engine: e, node: n, log: o.Log, resync: o.Resync, changes: newChanges(),
		infra: map[string]manifests.Owner{}, nets: map[string]knownNetwork{}, memory: map[string]*memory{},
		claims: map[string][]wantedClaim{},
	}
	b.tasks = newTasks(b.changes.add)
	b.prober = newProber(e, dial, b.changes.add)
	b.doors = newDoors(b.changes.add)
	b.exits = newExits()
	b.holders = newHolders()
	b.tests = &running{names: map[string]chan struct{}{}}
	b.images = newPulls(e, b.changes.add)
	return b
}

// Apply implements backend.Backend.
func (b *Backend) Apply(ctx context.Context, set manifests.Set) (backend.Observation, error) {
	want, err := b.wanted(ctx, set)
	if err != nil {
		return backend.Observation{}, err
	}
	b.changes.know(set.Owner)
	b.noteClaims(&want)
	if set.Remove {
		if err := b.endTests(ctx, set.Owner); err != nil {
			return backend.Observation{}, err
		}
	}
	s, todo, err := b.prepare(ctx, &want)
	if err != nil {
		return backend.Observation{}, err
	}
	told, nodeErr := b.tellNode(ctx, &want, &s, todo.steps)
	for _, st := range todo.steps {
		if nodeErr != nil && st.action == removePod && s.ready[st.pod.id].ok && !set.Remove {
			continue // its names can't be withdrawn yet
		}
		b.tasks.start(set.Owner, st.podName(), st.work(), func(ctx context.Context) error { return b.podStep(ctx, set.Owner, st) })
		if st.action == removePod {
			b.changes.add(set.Owner) // a pod that is leaving makes room before it is gone
		}
	}
	s.busy = b.tasks.busy(set.Owner)
	o, deadline := b.report(&want, &s, told)
	b.changes.addAt(set.Owner, sooner(todo.next, deadline))
	if set.Remove && len(s.pods) == 0 && len(s.networks) == 0 {
		b.forget(set.Owner)
	}
	return o, nodeErr
}

// sooner of two times, of which the zero time is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// wanted is the set in Podman's terms, if it can be applied at all.
func (b *Backend) wanted(ctx context.Context, set manifests.Set) (wanted, error) {
	if len(set.Objects) == 0 && !set.Remove {
		return wanted{}, fmt.Errorf("the set of %s is empty: removal must be asked for", set.Owner)
	}
	if set.Owner.Kind == "" || set.Owner.Namespace == "" || set.Owner.Name == "" {
		return wanted{}, fmt.Errorf("the set has no owner: %q", set.Owner)
	}
	where, err := b.place(ctx)
	if err != nil {
		return wanted{}, err
	}
	want, err := translate(set, where.podLogs())
	if err != nil {
		return wanted{}, fmt.Errorf("translating the set of %s: %w", set.Owner, err)
	}
	want.refused = append(want.refused, refusedByHost(b.lacking, set)...)
	return want, nil
}

// prepare looks at what is there, takes the quick steps, and returns those that remain for tasks. After quick steps it
// looks and plans again, for pods can be played when their networks and volumes are there.
func (b *Backend) prepare(ctx context.Context, want *wanted) (seen, agenda, error) {
	s, err := b.observe(ctx, want)
	if err != nil {
		return s, agenda{}, err
	}
	b.prober.attend(want.owner, &s)
	b.readiness(&s)
	b.doors.attend(want.owner, s.pods, s.ready)
	todo := plan(*want, s)
	quick, err := b.takeQuick(ctx, want.owner, todo.steps)
	if err != nil {
		return s, agenda{}, err
	}
	if quick {
		if s, err = b.observe(ctx, want); err != nil {
			return s, agenda{}, err
		}
		b.readiness(&s)
		todo = plan(*want, s)
		if _, err = b.takeQuick(ctx, want.owner, todo.steps); err != nil {
			return s, agenda{}, err
		}
	}
	slow := todo.steps[:0]
	for _, st := range todo.steps {
		if !st.action.quick() {
			slow = append(slow, st)
		}
	}
	todo.steps = slow
	return s, todo, nil
}

// told is what came of telling the node agent.
type told struct {
	// fixed has the fixed addresses that a pod bears, by pod name and network.
	fixed map[string]map[string]netip.Addr
	// failures says of a pod, by name, why it has neither names nor fixed addresses.
	failures map[string]string
	// logs says of a pod, by name, why log agents don't find its logs.
	logs map[string]string
}

// tellNode has the node agent make names, addresses and policies true.
func (b *Backend) tellNode(ctx context.Context, want *wanted, s *seen, steps []step) (told, error) {
	if want.remove {
		return told{}, b.node.Delete(ctx, want.owner.String())
	}
	state := nodeState(want, s, steps)
	answer, err := b.node.Put(ctx, state)
	if err != nil {
		return told{}, fmt.Errorf("telling the node agent about %s: %w", want.owner, err)
	}
	t := told{failures: answer.Failures, logs: answer.Logs, fixed: map[string]map[string]netip.Addr{}}
	for _, p := range state.Pods {
		t.fixed[p.Name] = p.Fixed
	}
	for _, p := range s.pods {
		if answer.Failures[p.name] != "" { // what is known of its network may be out of date
			b.mistrustNetwork(p.infra.id)
		}
	}
	return t, nil
}

// Changes implements backend.Backend.
func (b *Backend) Changes(ctx context.Context) <-chan manifests.Owner {
	if b.begin != nil {
		go b.begin(ctx)
	}
	go b.watch(ctx)
	return b.changes.stream(ctx)
}

// takenError says that an object of somebody else bears a name that is needed.
type takenError struct {
	what   string
	labels map[string]string
}

func (e *takenError) Error() string {
	holder := e.labels[manifests.LabelOwner]
	if holder == "" {
		holder = "something that mockup did not make"
	}
	return fmt.Sprintf("%s is there already and belongs to %s", e.what, holder)
}
