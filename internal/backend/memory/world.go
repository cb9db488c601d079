// Package memory is a backend without containers: a small deterministic world for the tests of what stands on backends.
//
// Things happen only at the end of an Apply (or with World.Pass, once World.Freeze was called): a pod that was made by one
// Apply runs when the next one looks. What happens in between is reported through Changes, as on any backend. Only where
// manifests speak of seconds does the clock count, and World.Second sets how long those last.
package memory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// World is what any number of Backends run on. The zero value is not usable; see NewWorld.
type World struct {
	mu sync.Mutex
	// tenants by Owner.String.
	tenants map[string]*tenant
	// holders tell who holds a name, for all kinds.
	holders map[key]*thing
	feeds   map[*feed]bool
	serial  int
	writes  int
	frozen  bool
	missing map[string]bool
	held    map[string]bool
	refuse  func(manifests.Object) []backend.Refusal
	faults  faults
	// second is how long a second of the manifests lasts.
	second time.Duration
}

// key of a thing in the world.
type key struct {
	namespace string
	ref       manifests.Ref
}

// tenant is all that belongs to one owner.
type tenant struct {
	owner  manifests.Owner
	things map[manifests.Ref]*thing
	pods   []*pod
	alarm  alarm
}

// thing is an object that was applied or planted.
type thing struct {
	key    key
	owner  manifests.Owner
	id     string
	object manifests.Object
	// files are the content of a claim.
	files map[string][]byte
	// hash of the template that was ready once; of workloads.
	wasReady string
	progress progress
	job      job
	// reload is what the program said of configuration that it refused.
	reload string
	// count of the pods made so far, for their names.
	count       int
	terminating bool
}

// NewWorld is an empty world in which every image is there and every program does what package guest foretells.
func NewWorld() *World {
	return &World{
		tenants: map[string]*tenant{},
		holders: map[key]*thing{},
		feeds:   map[*feed]bool{},
		missing: map[string]bool{},
		held:    map[string]bool{},
		second:  time.Second,
	}
}

// epoch is the time in every world, for ever.
const epoch = "2025-01-01T00:00:00Z"

func (w *World) nextID(prefix string) string {
	w.serial++
	return fmt.Sprintf("%s-%d", prefix, w.serial)
}

func (w *World) tenant(owner manifests.Owner) *tenant {
	t := w.tenants[owner.String()]
	if t == nil {
		t = &tenant{owner: owner, things: map[manifests.Ref]*thing{}}
		w.tenants[owner.String()] = t
	}
	return t
}

// forget a tenant that has nothing any more.
func (w *World) forget(t *tenant) {
	if len(t.things) == 0 && len(t.pods) == 0 {
		delete(w.tenants, t.owner.String())
	}
}

func (w *World) put(t *tenant, object manifests.Object) *thing {
	ref := manifests.RefOf(object)
	th := &thing{
		key:    key{t.owner.Namespace, ref},
		owner:  t.owner,
		id:     w.nextID(ref.String()),
		object: object,
		files:  map[string][]byte{},
	}
	t.things[ref], w.holders[th.key] = th, th
	return th
}

func (w *World) drop(t *tenant, th *thing) {
	delete(t.things, th.key.ref)
	delete(w.holders, th.key)
}

// pass lets time pass once for a tenant: what starts runs, what runs becomes ready, what terminates has drained and what
// has drained is gone. It tells whether anything has changed.
func (w *World) pass(t *tenant) bool {
	before := len(t.pods)
	t.pods = slices.DeleteFunc(t.pods, func(p *pod) bool { return p.drained })
	changed := len(t.pods) != before
	for _, p := range t.pods {
		if p.terminating {
			changed = w.stop(t, p) || changed
			continue
		}
		changed = w.run(t, p) || changed
		changed = w.grantAddresses(t, p) || changed
	}
	for _, ref := range sortedRefs(t.things) {
		if th := t.things[ref]; th.terminating && !t.uses(ref) {
			w.drop(t, th)
			changed = true
		}
	}
	w.forget(t)
	return changed
}

// uses tells whether a pod still needs the thing of ref.
func (t *tenant) uses(ref manifests.Ref) bool {
	return slices.ContainsFunc(t.pods, func(p *pod) bool { return p.uses(ref) })
}

func sortedRefs(things map[manifests.Ref]*thing) []manifests.Ref {
	return slices.SortedFunc(maps.Keys(things), func(a, b manifests.Ref) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
}

// Thing is an object of the world, as a second client sees it.
type Thing struct {
	Ref    manifests.Ref
	Owner  manifests.Owner
	ID     string
	Object manifests.Object
}

// Things of an owner, in the order of their references.
func (w *World) Things(owner manifests.Owner) []Thing {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tenants[owner.String()]
	if t == nil {
		return nil
	}
	var things []Thing
	for _, ref := range sortedRefs(t.things) {
		things = append(things, view(t.things[ref]))
	}
	return things
}

// Find looks for the thing of ref, whoever owns it.
func (w *World) Find(namespace string, ref manifests.Ref) (Thing, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	th := w.holders[key{namespace, ref}]
	if th == nil {
		return Thing{}, false
	}
	return view(th), true
}

func view(th *thing) Thing {
	return Thing{Ref: th.key.ref, Owner: th.owner, ID: th.id, Object: th.object.DeepCopyObject().(manifests.Object)}
}

// Owners that have anything in the world, in order.
func (w *World) Owners() []manifests.Owner {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.owners()
}

func (w *World) owners() []manifests.Owner {
	var owners []manifests.Owner
	for _, name := range slices.Sorted(maps.Keys(w.tenants)) {
		if owner := w.tenants[name].owner; owner.Name != "" { // nobody is told of what nobody owns
			owners = append(owners, owner)
		}
	}
	return owners
}

// Writes counts what Applies have changed since the world began; the passing of time is no write.
func (w *World) Writes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

// Plant puts object into the world for owner, who may be nobody: an Owner with only a namespace.
func (w *World) Plant(owner manifests.Owner, object manifests.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.put(w.tenant(owner), object.DeepCopyObject().(manifests.Object))
	w.report(owner)
}

// Edit changes the object of a thing from outside.
func (w *World) Edit(owner manifests.Owner, ref manifests.Ref, change func(manifests.Object)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	th := w.holders[key{owner.Namespace, ref}]
	if th == nil || !th.owner.Is(owner) {
		return fmt.Errorf("%s has no %s", owner, ref)
	}
	change(th.object)
	w.report(owner)
	return nil
}

// Resolve gives the addresses of the ready pods behind a Service, by one of the names that a program in namespace may
// call it.
func (w *World) Resolve(namespace, name string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	short, suffix, qualified := strings.Cut(name, ".")
	if qualified {
		namespace, suffix, _ = strings.Cut(suffix, ".")
		if suffix != "" && suffix != "svc" && suffix != "svc.cluster.local" {
			return nil
		}
	}
	th := w.holders[key{namespace, manifests.Ref{Kind: "Service", Name: short}}]
	if th == nil {
		return nil
	}
	var addresses []string
	service := th.object.(*corev1.Service)
	for _, p := range w.tenants[th.owner.String()].pods {
		bears := p.ready || service.Spec.PublishNotReadyAddresses
		if bears && !p.terminating && selects(service, p) {
			addresses = append(addresses, slices.Sorted(maps.Values(p.addresses))...)
		}
	}
	return addresses
}

func selects(s *corev1.Service, p *pod) bool {
	for label, value := range s.Spec.Selector {
		if p.template.Labels[label] != value {
			return false
		}
	}
	return len(s.Spec.Selector) > 0
}
