package podman

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"mockup.dev/mockup/manifests"
)

// holders is what each owner was last seen to have of what others ask about. Podman could be asked instead, but it answers
// for a pod only when nobody plays or removes it (libpod locks it meanwhile), and on cgroup v1 that takes seconds: a question
// about everybody's pods waits for the slowest of them, and so one broken stack would delay all others.
type holders struct {
	mu sync.Mutex
	// adopted tells whether those have been seen who had pods before this process began.
	adopted bool
	byOwner map[string]holdings
}

// holdings of one owner.
type holdings struct {
	owner manifests.Owner
	// services are the Service names that its pods bear.
	services map[string]bool
	// objects are the volumes and networks that it has or uses, as kind/name in the words of Podman's events.
	objects map[string]bool
}

func newHolders() *holders { return &holders{byOwner: map[string]holdings{}} }

// note what an owner was seen to have.
func (h *holders) note(want *wanted, s *seen) {
	found := holdings{owner: want.owner, services: servicesOf(s.pods), objects: map[string]bool{}}
	for _, v := range s.volumes {
		found.objects[objectKey("volume", v.name)] = true
	}
	for _, v := range want.foreign() {
		found.objects[objectKey("volume", v)] = true
	}
	for _, networks := range [][]networkInfo{s.networks, s.borrowed} {
		for _, n := range networks {
			found.objects[objectKey("network", n.name)] = true
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.byOwner[want.owner.String()] = found
}

func (h *holders) forget(owner manifests.Owner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.byOwner, owner.String())
}

// adopt notes who has pods, of those who have not been seen yet.
func (h *holders) adopt(pods []podInfo) []manifests.Owner {
	theirs := map[manifests.Owner][]podInfo{}
	for _, p := range pods {
		if o, err := manifests.ParseOwner(p.labels[manifests.LabelOwner]); err == nil {
			theirs[o] = append(theirs[o], p)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.adopted = true
	var owners []manifests.Owner
	for o, pods := range theirs {
		owners = append(owners, o)
		if _, seen := h.byOwner[o.String()]; !seen {
			h.byOwner[o.String()] = holdings{owner: o, services: servicesOf(pods)}
		}
	}
	return owners
}

func (h *holders) hasAdopted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.adopted
}

// of are the owners who have or use an object, by an event of it.
func (h *holders) of(e event) []manifests.Owner {
	return h.those(func(held holdings) bool { return held.objects[objectKey(e.kind, e.name)] })
}

// rivals are the other owners of the namespace whose pods bear a Service name of want's.
func (h *holders) rivals(want *wanted) []manifests.Owner {
	return h.those(func(held holdings) bool {
		return held.owner.Namespace == want.owner.Namespace && !held.owner.Is(want.owner) &&
			slices.ContainsFunc(want.services, func(s wantedService) bool { return held.services[s.ref.Name] })
	})
}

func (h *holders) those(apply func(holdings) bool) []manifests.Owner {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []manifests.Owner
	for _, held := range h.byOwner {
		if apply(held) {
			out = append(out, held.owner)
		}
	}
	return out
}

func objectKey(kind, name string) string { return kind + "/" + name }

// servicesOf are the Service names that pods bear, ready or not.
func servicesOf(pods []podInfo) map[string]bool {
	out := map[string]bool{}
	for _, p := range pods {
		for name := range strings.SplitSeq(p.labels[labelServices], ",") {
			if name != "" {
				out[name] = true
			}
		}
	}
	return out
}

// adoptOwners makes known whoever has pods here, also from before this process began.
func (b *Backend) adoptOwners(ctx context.Context) error {
	pods, err := b.engine.pods(ctx, "")
	if err != nil {
		return fmt.Errorf("looking for whose pods there are: %w", err)
	}
	for _, o := range b.holders.adopt(pods) {
		b.changes.know(o)
	}
	return nil
}

// takenServices looks, when there are pods to play, for pods of other owners of the namespace that bear a Service name
// of this one. A name must lead to one owner, as it does on a cluster, though Podman would share it.
func (b *Backend) takenServices(ctx context.Context, want *wanted, s *seen) (map[string]string, error) {
	taken := map[string]string{}
	missing := slices.ContainsFunc(want.workloads, func(w wantedWorkload) bool { return w.broken == nil && s.lacks(&w) })
	if !missing || len(want.services) == 0 {
		return taken, nil
	}
	if !b.holders.hasAdopted() {
		if err := b.adoptOwners(ctx); err != nil {
			return nil, err
		}
	}
	for _, rival := range b.holders.rivals(want) {
		// It may have lost them since it was seen, without anybody who looks: its resource can be gone, and its pods removed by hand.
		pods, err := b.engine.pods(ctx, rival.String())
		if err != nil {
			return nil, err
		}
		for name := range servicesOf(pods) {
			taken[name] = rival.String()
		}
	}
	return taken, nil
}
