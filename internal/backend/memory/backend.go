package memory

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// Backend runs sets in a World. It has no state of its own: two on one world are a restart.
type Backend struct{ world *World }

var _ backend.Backend = (*Backend)(nil)

// New is a backend on world.
func New(world *World) *Backend { return &Backend{world: world} }

// Apply makes set the truth for its owner, as backend.Backend promises.
func (b *Backend) Apply(ctx context.Context, set manifests.Set) (backend.Observation, error) {
	if err := check(set); err != nil {
		return backend.Observation{}, err
	}
	w := b.world
	if err := w.meddle(ctx); err != nil {
		return backend.Observation{}, fmt.Errorf("applying the set of %s: %w", set.Owner, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	step := &step{World: w, tenant: w.tenant(set.Owner), set: set, stuck: map[manifests.Ref]stuck{}}
	step.tenant.alarm.forget()
	step.applyThings()
	step.prune()
	step.runWorkloads()
	seen := step.observe()
	if !w.frozen && w.pass(step.tenant) {
		step.touched = true
	}
	if step.touched {
		w.report(set.Owner)
	}
	w.forget(step.tenant)
	return seen, nil
}

// check refuses sets that say nothing, since nothing said must never remove anything.
func check(set manifests.Set) error {
	if _, err := manifests.ParseOwner(set.Owner.String()); err != nil {
		return fmt.Errorf("applying a set: %w", err)
	}
	if len(set.Objects) == 0 && !set.Remove {
		return errors.New("applying the set of " + set.Owner.String() + ": it is empty; removal has to be said")
	}
	return nil
}

// step is one Apply.
type step struct {
	*World
	tenant *tenant
	set    manifests.Set
	// stuck are the objects that can't be as wanted.
	stuck map[manifests.Ref]stuck
	// touched: something was written or has come about.
	touched bool
}

type stuck struct{ reason, message string }

func (s *step) wrote() {
	s.writes++
	s.touched = true
}

// wanted tells whether the set names ref as something to be there.
func (s *step) wanted(ref manifests.Ref) bool {
	if s.set.Remove {
		return false
	}
	for _, object := range s.set.Objects {
		if manifests.RefOf(object) == ref {
			return true
		}
	}
	return false
}

func (s *step) applyThings() {
	if s.set.Remove {
		s.heedLastWords()
		return
	}
	for _, object := range s.set.Objects {
		s.applyThing(stamped(object, s.set.Owner))
	}
}

// heedLastWords takes over from a removal which claims are to be retained.
func (s *step) heedLastWords() {
	for _, object := range s.set.Objects {
		th := s.tenant.things[manifests.RefOf(object)]
		reclaim := object.GetLabels()[manifests.LabelReclaim]
		if th != nil && reclaim == "Retain" && !retained(th) {
			th.object.SetLabels(with(th.object.GetLabels(), manifests.LabelReclaim, reclaim))
			s.wrote()
		}
	}
}

// stamped is a copy of object that bears the label of its owner, on its pods too.
func stamped(object manifests.Object, owner manifests.Owner) manifests.Object {
	object = object.DeepCopyObject().(manifests.Object)
	object.SetNamespace(owner.Namespace)
	object.SetLabels(with(object.GetLabels(), manifests.LabelOwner, owner.String()))
	if w, ok := workloadOf(object); ok {
		w.template.Labels = with(w.template.Labels, manifests.LabelOwner, owner.String())
		w.template.Labels = with(w.template.Labels, manifests.LabelWorkload, object.GetName())
	}
	return object
}

func with(labels map[string]string, label, value string) map[string]string {
	if labels == nil {
		labels = map[string]string{}
	}
	labels[label] = value
	return labels
}

func (s *step) applyThing(object manifests.Object) {
	ref := manifests.RefOf(object)
	th := s.holders[key{s.set.Owner.Namespace, ref}]
	if th == nil {
		s.put(s.tenant, object)
		s.wrote()
		return
	}
	if !th.owner.Is(s.set.Owner) {
		holder := "somebody unknown"
		if th.owner.Name != "" {
			holder = th.owner.String()
		}
		s.stuck[ref] = stuck{backend.ReasonNameTaken, fmt.Sprintf("%s is held by %s", ref, holder)}
		return
	}
	th.terminating = false
	if claim, ok := object.(*corev1.PersistentVolumeClaim); ok {
		// A claim keeps its size: there is nothing here that could grow.
		claim.Spec = *th.object.(*corev1.PersistentVolumeClaim).Spec.DeepCopy()
	}
	if !equality.Semantic.DeepEqual(th.object, object) {
		th.object = object
		s.wrote()
	}
}

// prune marks what the set does not name; it goes once no pod uses it any more.
func (s *step) prune() {
	for _, ref := range sortedRefs(s.tenant.things) {
		th := s.tenant.things[ref]
		if s.wanted(ref) || retained(th) || th.terminating {
			continue
		}
		th.terminating = true
		s.wrote()
		for _, p := range s.tenant.podsOf(ref) {
			s.terminate(p)
		}
	}
}

func (s *step) terminate(p *pod) {
	if !p.terminating {
		p.terminating, p.ready = true, false
		s.wrote()
	}
}

func retained(th *thing) bool {
	return th.key.ref.Kind == "PersistentVolumeClaim" && th.object.GetLabels()[manifests.LabelReclaim] == "Retain"
}
