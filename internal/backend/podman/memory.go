package podman

import (
	"context"
	"fmt"
	"time"

	"mockup.dev/mockup/internal/host"
	"mockup.dev/mockup/manifests"
)

// memory is what is remembered of one owner between passes. Nothing depends on it for being right, only for being patient:
// a new process begins without.
type memory struct {
	// lives of containers by ID.
	lives map[string]life
	// served workloads have been ready: one that is not ready any more broke, and does not start.
	served map[manifests.Ref]bool
	// progress of roll-outs.
	progress map[manifests.Ref]progress
	// rejected has, by pod name, what its program said of the configuration that it refused.
	rejected map[string]rejectedError
	// examined containers by ID.
	examined map[string]examination
}

// examination of a container by inspecting it, which the lists spare.
type examination struct {
	at      time.Time
	state   string
	restart int32
	containerDetails
}

// examineAgain is the pause after which a running container is looked at anew for what was changed by hand. Events tell
// of such changes sooner.
const examineAgain = time.Minute

func newMemory() *memory {
	return &memory{
		lives: map[string]life{}, served: map[manifests.Ref]bool{}, progress: map[manifests.Ref]progress{},
		rejected: map[string]rejectedError{}, examined: map[string]examination{},
	}
}

// memoryOf an owner.
func (b *Backend) memoryOf(owner manifests.Owner) *memory {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.memory[owner.String()]
	if m == nil {
		m = newMemory()
		b.memory[owner.String()] = m
	}
	return m
}

func (b *Backend) forget(owner manifests.Owner) {
	b.changes.forget(owner)
	b.holders.forget(owner)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.memory, owner.String())
	delete(b.claims, owner.String())
}

func (b *Backend) lifeOf(owner manifests.Owner, id string) life {
	m := b.memoryOf(owner)
	b.mu.Lock()
	defer b.mu.Unlock()
	return m.lives[id]
}

// died has Podman start a container that ended once and not more. It can't wait for a pass: one that ends as soon as it is
// started is started twice a second.
func (b *Backend) died(owner manifests.Owner, e event) {
	if e.labels[labelKind] == "" || e.labels[labelKind] == "Job" || b.lifeOf(owner, e.id).held {
		return
	}
	if err := b.hold(context.Background(), owner, e.id, restartOnce); err != nil { // it may be on its way out
		b.log.V(1).Info("a container that ended could not be held", "container", e.name, "error", err.Error())
	}
}

// remember brings the lives of containers up to date and drops those that are gone.
func (b *Backend) remember(owner manifests.Owner, s *seen) {
	m := b.memoryOf(owner)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range s.pods {
		for _, c := range p.containers {
			s.lives[c.id] = m.lives[c.id].after(c)
		}
	}
	clear(m.lives)
	for id, l := range s.lives {
		m.lives[id] = l
	}
	for id := range m.examined {
		if _, there := s.lives[id]; !there {
			delete(m.examined, id)
		}
	}
	for name, r := range m.rejected {
		s.rejected[name] = r.digest
	}
}

// examine inspects containers that have ended, for why, and all others now and then, for what was changed by hand.
func (b *Backend) examine(ctx context.Context, want *wanted, s *seen) {
	m := b.memoryOf(want.owner)
	limits := map[string]int64{}
	for i := range want.workloads {
		w := &want.workloads[i]
		for _, p := range s.pods {
			if p.workload() != w.ref || p.labels[labelHash] != w.pod.hash {
				continue
			}
			for name, c := range w.pod.containers {
				limits[p.name+"/"+name] = c.memory
			}
		}
	}
	for _, p := range s.pods {
		for _, c := range p.containers {
			b.mu.Lock()
			known, ok := m.examined[c.id]
			b.mu.Unlock()
			if !ok || known.state != c.state || known.restart != c.restarts || s.now.Sub(known.at) > examineAgain {
				d, err := b.engine.details(ctx, c.id)
				if err != nil { // gone since the list was made
					continue
				}
				known = examination{at: s.now, state: c.state, restart: c.restarts, containerDetails: d}
				b.mu.Lock()
				m.examined[c.id] = known
				b.mu.Unlock()
			}
			if limit, ok := limits[p.name+"/"+manifestName(p.name, c.name)]; ok && known.memory != limit && !b.lacks(host.TopicMemoryLimits) {
				s.edited[c.id] = fmt.Sprintf("its memory limit is %d bytes in place of %d", known.memory, limit)
			}
		}
	}
}

// details of a container as they were found last.
func (b *Backend) detailsOf(owner manifests.Owner, id string) containerDetails {
	m := b.memoryOf(owner)
	b.mu.Lock()
	defer b.mu.Unlock()
	return m.examined[id].containerDetails
}

// forgetExamined has a container looked at again: it was changed.
func (b *Backend) forgetExamined(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.memory {
		delete(m.examined, id)
	}
}
