// Package podman runs sets of manifests on Podman through kube play, one call for each pod, and supplies what kube play
// lacks of a cluster: identity, pruning, replacement, readiness and repair.
//
//	translate (pure)      what the manifests mean in Podman's terms
//	observe               what is there: one listing
//	plan (pure)           the steps between the two
//	tasks                 steps that take time, which re-enter through Changes
//	judge (pure)          what is reported
package podman

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// Options of New.
type Options struct {
	// URI of Podman's socket, e.g. unix:///run/podman/podman.sock.
	URI string
	Log logr.Logger
	// Resync is the pause after which every owner is reported as changed, in case an event was missed; the default is
	// one minute.
	Resync time.Duration
}

// Backend is Podman on this host.
type Backend struct {
	engine  engine
	log     logr.Logger
	resync  time.Duration
	changes *changes
	tasks   *tasks
	prober  *prober
	images  *pulls

	mu sync.Mutex
	// infra maps the ID of each infra container, which bears no label, to its owner.
	infra map[string]manifests.Owner
	// endpoints by infra container: they change with a restart, or by this backend's own doing.
	endpoints map[string]podEndpoints
	// naming lets one pod at a time leave and join networks.
	naming sync.Mutex
	// served workloads have been ready as they are wanted now: one that is not ready any more broke, and does not start.
	served map[string]bool
}

var _ backend.Backend = (*Backend)(nil)

// New returns a backend for the Podman at o.URI. It connects with the first call.
func New(o Options) *Backend {
	return newBackend(&client{uri: o.URI}, o)
}

func newBackend(e engine, o Options) *Backend {
	if o.Resync == 0 {
		o.Resync = time.Minute
	}
	b := &Backend{
		engine: e, log: o.Log, resync: o.Resync, changes: newChanges(),
		infra: map[string]manifests.Owner{}, endpoints: map[string]podEndpoints{}, served: map[string]bool{},
	}
	b.tasks = newTasks(b.changes.add)
	b.prober = newProber(e, b.changes.add)
	b.images = newPulls(e, b.changes.add)
	return b
}

// Apply implements backend.Backend.
func (b *Backend) Apply(ctx context.Context, set manifests.Set) (backend.Observation, error) {
	if len(set.Objects) == 0 && !set.Remove {
		return backend.Observation{}, fmt.Errorf("the set of %s is empty: removal must be asked for", set.Owner)
	}
	if set.Owner.Kind == "" || set.Owner.Namespace == "" || set.Owner.Name == "" {
		return backend.Observation{}, fmt.Errorf("the set has no owner: %q", set.Owner)
	}
	want, err := translate(set)
	if err != nil {
		return backend.Observation{}, fmt.Errorf("translating the set of %s: %w", set.Owner, err)
	}
	b.changes.know(set.Owner)
	s, err := b.observe(ctx, want)
	if err != nil {
		return backend.Observation{}, err
	}
	again := false
	for _, st := range plan(want, s) {
		done, err := b.do(ctx, set.Owner, st)
		if err != nil {
			return backend.Observation{}, err
		}
		again = again || done
	}
	if again { // pods can be played now that their networks and volumes are there
		if s, err = b.observe(ctx, want); err != nil {
			return backend.Observation{}, err
		}
		for _, st := range plan(want, s) {
			if _, err := b.do(ctx, set.Owner, st); err != nil {
				return backend.Observation{}, err
			}
		}
	}
	s.busy = b.tasks.busy()
	b.prober.attend(set.Owner, want, s.pods, b.endpointsOf)
	if set.Remove && len(s.pods) == 0 && len(s.networks) == 0 {
		b.changes.forget(set.Owner)
	}
	return b.report(want, s), nil
}

// do carries out a step: at once and telling so when it is quick, as a task otherwise.
func (b *Backend) do(ctx context.Context, owner manifests.Owner, s step) (done bool, err error) {
	b.log.Info(s.String(), "owner", owner.String())
	switch s.action {
	case createNetwork:
		return true, b.quick(s.network.name, b.createNetwork(ctx, s.network))
	case removeNetwork:
		return true, b.quick(s.network.name, b.engine.removeNetwork(ctx, s.network.name))
	case createVolume:
		return true, b.quick(s.volume.name, b.createVolume(ctx, s.volume))
	case removeVolume:
		return true, b.quick(s.volume.name, b.engine.removeVolume(ctx, s.volume.name))
	}
	b.tasks.start(owner, s.podName(), func(ctx context.Context) error { return b.podStep(ctx, s) })
	return false, nil
}

// quick turns the failure of one object into its state; only an engine that can't be reached is an error of the whole.
func (b *Backend) quick(name string, err error) error {
	if err == nil || errors.Is(err, errBusy) {
		b.tasks.clear(name)
		return nil
	}
	if unreachable(err) {
		return err
	}
	b.tasks.fail(name, err)
	return nil
}

func (b *Backend) createNetwork(ctx context.Context, n networkInfo) error {
	if other, there, err := b.engine.networkNamed(ctx, n.name); err != nil {
		return err
	} else if there {
		return &takenError{what: "network " + n.name, labels: other.labels}
	}
	return b.engine.createNetwork(ctx, n)
}

func (b *Backend) createVolume(ctx context.Context, v volumeInfo) error {
	if other, there, err := b.engine.volumeNamed(ctx, v.name); err != nil {
		return err
	} else if there {
		return &takenError{what: "volume " + v.name, labels: other.labels}
	}
	return b.engine.createVolume(ctx, v)
}

// podStep is the body of a task.
func (b *Backend) podStep(ctx context.Context, s step) error {
	switch s.action {
	case playPod:
		return b.play(ctx, s.want)
	case replacePod:
		if err := b.engine.removePod(ctx, s.pod.id, s.want.grace); err != nil {
			return err
		}
		return b.play(ctx, s.want)
	case restartPod:
		return b.engine.restartPod(ctx, s.pod.id)
	case startContainer:
		return b.engine.startContainer(ctx, s.id)
	case namePod:
		return b.name(ctx, s)
	case removePod:
		return b.engine.removePod(ctx, s.pod.id, graceOf(s.pod))
	}
	return fmt.Errorf("step %s is not one of a pod", s)
}

// graceOf a pod that is in no set any more: what it was played with.
func graceOf(p podInfo) time.Duration {
	seconds, err := strconv.Atoi(p.labels[labelGrace])
	if err != nil {
		return defaultGrace
	}
	return time.Duration(seconds) * time.Second
}

// play plays one pod. What a failed play leaves behind is removed, so that the next one begins from nothing.
func (b *Backend) play(ctx context.Context, want *wantedPod) error {
	if other, there, err := b.engine.podNamed(ctx, want.name); err != nil {
		return err
	} else if there {
		return &takenError{what: "pod " + want.name, labels: other.labels}
	}
	for _, v := range want.volumes {
		// A volume of a pod of this name that is gone may hold keys that are no longer wanted.
		if err := b.engine.removeVolume(ctx, v.name); err != nil {
			return fmt.Errorf("clearing volume %s: %w", v.name, err)
		}
		if err := b.engine.createVolume(ctx, v); err != nil {
			return err
		}
	}
	err := b.engine.play(ctx, want.request)
	if err == nil {
		return nil
	}
	if left, there, lookErr := b.engine.podNamed(ctx, want.name); lookErr == nil && there {
		err = errors.Join(err, b.engine.removePod(ctx, left.id, 0))
	}
	return fmt.Errorf("playing pod %s: %w", want.name, err)
}

// Changes implements backend.Backend.
func (b *Backend) Changes(ctx context.Context) <-chan manifests.Owner {
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
