package podman

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"mockup.dev/mockup/manifests"
)

// podEndpoints are a pod's by Podman network, valid for one start of its infra container.
type podEndpoints struct {
	started time.Time
	byNet   map[string]endpoint
}

// observe lists what is there of want's owner. The lists are those of Podman at this moment; nothing is remembered but
// addresses, which can't change under a running infra container.
func (b *Backend) observe(ctx context.Context, want wanted) (seen, error) {
	owner := want.owner.String()
	s := seen{adopted: map[string]bool{}, images: map[string]bool{}, busy: b.tasks.busy(), held: b.tasks.held(), ready: map[string]bool{}, endpoints: map[string]map[string]endpoint{}, now: time.Now()}
	var err error
	if s.pods, err = b.engine.pods(ctx, owner); err != nil {
		return s, err
	}
	if s.volumes, err = b.engine.volumes(ctx, owner); err != nil {
		return s, err
	}
	if s.networks, err = b.engine.networks(ctx, owner); err != nil {
		return s, err
	}
	for _, c := range want.claims {
		if c.adopted {
			if _, s.adopted[c.volume], err = b.engine.volumeNamed(ctx, c.volume); err != nil {
				return s, err
			}
		}
	}
	if s.taken, err = b.takenServices(ctx, want, s); err != nil {
		return s, err
	}
	for _, p := range s.pods {
		b.learn(ctx, want.owner, p)
		s.ready[p.id] = b.prober.ready(p)
		s.endpoints[p.id] = b.endpointsOf(p)
	}
	return s, b.lookForImages(ctx, want, s)
}

// lookForImages asks for the images of those pods only that are to be played, and has missing ones pulled.
func (b *Backend) lookForImages(ctx context.Context, want wanted, s seen) error {
	byName := map[string]podInfo{}
	for _, p := range s.pods {
		byName[p.name] = p
	}
	for _, w := range want.workloads {
		for _, pod := range w.pods {
			if byName[pod.name].is(pod) {
				continue
			}
			for _, image := range pod.images {
				if _, asked := s.images[image.ref]; asked {
					continue
				}
				there, err := b.images.ensure(ctx, want.owner, image)
				if err != nil {
					return err
				}
				s.images[image.ref] = there
			}
		}
	}
	return nil
}

// is tells whether the pod was played as it is wanted.
func (p podInfo) is(want wantedPod) bool { return p.labels[labelHash] == want.hash && !p.halfMade() }

// takenServices looks, when there are pods to play, for pods of other owners of the namespace that bear a Service name
// of this one. A name must lead to one owner, as it does on a cluster, though Podman would share it.
func (b *Backend) takenServices(ctx context.Context, want wanted, s seen) (map[string]string, error) {
	taken := map[string]string{}
	missing := false
	for _, w := range want.workloads {
		for _, pod := range w.pods {
			missing = missing || !slices.ContainsFunc(s.pods, func(p podInfo) bool { return p.name == pod.name && p.is(pod) })
		}
	}
	if !missing || len(want.services) == 0 {
		return taken, nil
	}
	all, err := b.engine.pods(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		holder, err := manifests.ParseOwner(p.labels[manifests.LabelOwner])
		if err != nil || holder.Is(want.owner) || holder.Namespace != want.owner.Namespace {
			continue
		}
		for _, name := range strings.Split(p.labels[labelServices], ",") {
			taken[name] = holder.String()
		}
	}
	delete(taken, "")
	return taken, nil
}

// learn keeps the endpoints of a running pod and whose infra container it is.
func (b *Backend) learn(ctx context.Context, owner manifests.Owner, p podInfo) {
	if p.infra.id == "" {
		return
	}
	b.mu.Lock()
	b.infra[p.infra.id] = owner
	known, ok := b.endpoints[p.infra.id]
	b.mu.Unlock()
	if p.infra.state != "running" || ok && known.started.Equal(p.created()) {
		return
	}
	byNet, err := b.engine.endpoints(ctx, p.infra.id)
	if err != nil { // gone since the list was made: the next one tells
		b.log.V(1).Info("no addresses", "pod", p.name, "error", err.Error())
		return
	}
	b.mu.Lock()
	b.endpoints[p.infra.id] = podEndpoints{started: p.created(), byNet: byNet}
	b.mu.Unlock()
}

// created is when the pod's network came to be, as far as its containers tell: a restart starts them all anew.
func (p podInfo) created() time.Time {
	var first time.Time
	for _, c := range p.containers {
		if first.IsZero() || c.started.Before(first) {
			first = c.started
		}
	}
	return first
}

func (b *Backend) endpointsOf(p podInfo) map[string]endpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.endpoints[p.infra.id].byNet
}

// forgetEndpoints has them asked for again.
func (b *Backend) forgetEndpoints(infra string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.endpoints, infra)
}

// forgetInfra drops what was kept of infra containers that are gone.
func (b *Backend) forgetInfra(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.infra, id)
	delete(b.endpoints, id)
}

// unreachable tells whether err means that Podman did not answer at all.
func unreachable(err error) bool {
	var netErr *net.OpError
	return errors.As(err, &netErr) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
