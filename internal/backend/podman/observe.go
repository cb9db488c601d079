package podman

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/manifests"
)

// knownNetwork is a pod's network, valid for one start of its infra container.
type knownNetwork struct {
	started time.Time
	podNetwork
	// hostPorts lead there.
	hostPorts []uint16
	// stale tells that it is to be asked for again; what it was is remembered for those who were led there.
	stale bool
}

// observe looks at what is there, and has missing images pulled.
func (b *Backend) observe(ctx context.Context, want *wanted) (seen, error) {
	s, err := b.look(ctx, want)
	if err != nil {
		return s, err
	}
	return s, b.lookForImages(ctx, want, &s)
}

// look lists what is there of want's owner, and changes nothing. The lists are those of Podman at this moment; remembered are addresses,
// which can't change under a running infra container, and how containers fared.
func (b *Backend) look(ctx context.Context, want *wanted) (seen, error) {
	owner := want.owner.String()
	s := seen{
		adopted: map[string]bool{}, images: map[string]string{}, users: map[string]string{}, net: map[string]podNetwork{}, ready: map[string]readiness{},
		lives: map[string]life{}, edited: map[string]string{}, rejected: map[string]string{}, shut: map[string]bool{},
		busy: b.tasks.busy(want.owner), held: b.tasks.held(), now: time.Now(),
	}
	var err error
	if s.where, err = b.place(ctx); err != nil {
		return s, err
	}
	if s.pods, err = b.engine.pods(ctx, owner); err != nil {
		return s, err
	}
	if s.volumes, err = b.engine.volumes(ctx, owner); err != nil {
		return s, err
	}
	if s.networks, err = b.engine.networks(ctx, owner); err != nil {
		return s, err
	}
	if s.borrowed, err = b.borrowed(ctx, want); err != nil {
		return s, err
	}
	for _, volume := range want.foreign() {
		if _, s.adopted[volume], err = b.engine.volumeNamed(ctx, volume); err != nil {
			return s, err
		}
	}
	b.holders.note(want, &s)
	if s.taken, err = b.takenServices(ctx, want, &s); err != nil {
		return s, err
	}
	for _, p := range s.pods {
		b.learn(ctx, want.owner, p)
		s.net[p.id] = b.networkOf(p)
		s.shut[p.id] = b.doors.shut(p.id, s.now)
	}
	b.remember(want.owner, &s)
	b.examine(ctx, want, &s)
	return s, nil
}

// foreign are the volumes that are not the owner's to make: those that it adopts, and those that others lend.
func (w *wanted) foreign() []string {
	out := slices.Clone(w.lent)
	for _, c := range w.claims {
		if c.adopted {
			out = append(out, c.volume)
		}
	}
	return out
}

// borrowed finds the networks of other owners that want's pods join.
func (b *Backend) borrowed(ctx context.Context, want *wanted) ([]networkInfo, error) {
	var found []networkInfo
	asked := map[string]bool{}
	for _, n := range want.borrowed {
		if asked[n.lender] {
			continue
		}
		asked[n.lender] = true
		of, err := b.engine.networks(ctx, n.lender)
		if err != nil {
			return nil, err
		}
		found = append(found, of...)
	}
	return found, nil
}

// readiness asks the prober about every pod.
func (b *Backend) readiness(s *seen) {
	for _, p := range s.pods {
		s.ready[p.id], _ = b.prober.state(p)
	}
}

// lookForImages asks for the images of those pods only that are to be played, and of those whose policy is Always, and
// has missing ones pulled.
func (b *Backend) lookForImages(ctx context.Context, want *wanted, s *seen) error {
	for i := range want.workloads {
		w := &want.workloads[i]
		_, ended := s.result(w.ref)
		if w.broken != nil || w.job != nil && ended {
			continue
		}
		lacks := s.lacks(w)
		for _, image := range w.pod.images {
			if _, asked := s.images[image.ref]; asked || !lacks && image.policy != corev1.PullAlways {
				continue
			}
			found, err := b.images.ensure(ctx, want.owner, image)
			if err != nil {
				return err
			}
			s.images[image.ref], s.users[image.ref] = found.id, found.user
		}
	}
	return nil
}

// lacks tells whether the workload has fewer pods as wanted than it should have.
func (s *seen) lacks(w *wantedWorkload) bool {
	p := planner{seen: *s}
	n := 0
	for _, pod := range s.pods {
		if pod.workload() == w.ref && !pod.halfMade() && p.current(w, pod, false) {
			n++
		}
	}
	return n < w.replicas || w.job != nil
}

// learn keeps the network of a running pod and whose infra container it is.
func (b *Backend) learn(ctx context.Context, owner manifests.Owner, p podInfo) {
	if p.infra.id == "" {
		return
	}
	b.mu.Lock()
	b.infra[p.infra.id] = owner
	known, ok := b.nets[p.infra.id]
	b.mu.Unlock()
	if p.infra.state != "running" || ok && !known.stale && known.started.Equal(p.begun()) {
		return
	}
	found, err := b.engine.network(ctx, p.infra.id)
	if err != nil { // gone since the list was made: the next one tells
		b.log.V(1).Info("no addresses", "pod", p.name, "error", err.Error())
		return
	}
	now := knownNetwork{started: p.begun(), podNetwork: found, hostPorts: portsIn(p.labels[labelHostPorts])}
	b.mu.Lock()
	b.nets[p.infra.id] = now
	b.mu.Unlock()
	b.arrived(p, now)
}

// begun is when the pod's network came to be, as far as its containers tell: a restart starts them all anew.
func (p podInfo) begun() time.Time {
	var first time.Time
	for _, c := range p.containers {
		if first.IsZero() || c.started.Before(first) {
			first = c.started
		}
	}
	return first
}

func (b *Backend) networkOf(p podInfo) podNetwork {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.nets[p.infra.id]; !known.stale {
		return known.podNetwork
	}
	return podNetwork{}
}

// mistrustNetwork has it asked for again.
func (b *Backend) mistrustNetwork(infra string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.nets[infra]; ok {
		known.stale = true
		b.nets[infra] = known
	}
}

// forgetInfra drops what was kept of infra containers that are gone.
func (b *Backend) forgetInfra(id string) {
	b.unplugged(id)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.infra, id)
	delete(b.nets, id)
}

// unreachable tells whether err means that Podman did not answer at all.
func unreachable(err error) bool {
	var netErr *net.OpError
	return errors.As(err, &netErr) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
