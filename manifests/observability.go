package manifests

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// ObservabilityFacts are what rendering an addon needs to know beside the addon itself.
type ObservabilityFacts struct {
	// Stack is the one that stackRef names. Without it nothing is rendered.
	Stack *v1alpha1.MockupStack
	// Images maps an image reference to the one that is really run; what is not in it runs as it is.
	Images map[string]string
	// Secrets that the addon refers to and that exist, by name. Only the names of their keys, their uid and their
	// resourceVersion take part in what is rendered.
	Secrets map[string]*corev1.Secret
}

// ObservabilityOwner is the owner of what Observability renders for a.
func ObservabilityOwner(a *v1alpha1.ObservabilityAddon) Owner {
	namespace := a.Namespace
	if namespace == "" {
		namespace = defaultNamespace
	}
	return Owner{Kind: "ObservabilityAddon", Namespace: namespace, Name: a.Name, UID: a.UID}
}

// Observability renders a: the programs that watch the stack, their storage and configuration, in the order in which they
// are best created. a and f are left as they are. Its pods join the networks of the stack, which are in Set.Networks.
//
// The error is an *InvalidError, several of them joined, or a *MissingError. With the latter the set is whole but for the
// copies and digests of what is missing: fit to be looked at, not to be applied.
func Observability(a *v1alpha1.ObservabilityAddon, f ObservabilityFacts) (Set, error) {
	stack, err := watched(a, f)
	if err != nil {
		return Set{}, err
	}
	if err := validateAddon(a, f.Stack); err != nil {
		return Set{}, err
	}
	r := newAddonRenderer(a, f)
	set := Set{Owner: r.owner, Networks: networksOf(stack)}
	var parts []rendered
	for _, p := range r.programs() {
		part, err := r.program(p)
		if err != nil {
			return Set{}, err
		}
		parts = append(parts, part)
	}
	if r.wants(ComponentPrometheus) {
		parts = append(parts, rendered{services: []Object{OperatorMetricsService(r.owner)}})
	}
	set.Objects = inOrderOfKinds(parts)
	refs := ObservabilityReferences(a)
	if err := errors.Join(ownNames(set, refs), othersNames(set, stack)); err != nil {
		return Set{}, err
	}
	set.Secrets, _ = r.facts.copies(refs)
	return set, r.facts.missing(refs)
}

// watched renders the stack, whose names the addon's must not meet and whose networks its pods join.
func watched(a *v1alpha1.ObservabilityAddon, f ObservabilityFacts) (Set, error) {
	return renderedStack(a.Spec.StackRef.Name, f.Stack)
}

// renderedStack renders the stack that spec.stackRef names, nil if there is none.
func renderedStack(name string, stack *v1alpha1.MockupStack) (Set, error) {
	if stack == nil {
		return Set{}, &InvalidError{Field: "spec.stackRef.name", Value: name, Reason: "is no stack of this namespace"}
	}
	set, err := Stack(stack, StackFacts{})
	var missing *MissingError
	if err != nil && !errors.As(err, &missing) {
		return Set{}, &InvalidError{Field: "spec.stackRef.name", Value: name, Reason: "is a stack that can't be run: " + err.Error()}
	}
	return set, nil
}

// othersNames fails where the addon and the stack would make the same object.
func othersNames(set, stack Set) error {
	theirs := map[Ref]bool{}
	for _, o := range stack.Objects {
		theirs[RefOf(o)] = true
	}
	for _, o := range set.Objects {
		if theirs[RefOf(o)] {
			return &InvalidError{Field: "spec.stackRef.name", Value: stack.Owner.Name, Reason: fmt.Sprintf("has a %s itself, which is a name of the addon's", RefOf(o))}
		}
	}
	return nil
}

// networksOf a stack are the policies of it that have a subnet.
func networksOf(stack Set) []*networkingv1.NetworkPolicy {
	var out []*networkingv1.NetworkPolicy
	for _, o := range stack.Objects {
		if p, ok := o.(*networkingv1.NetworkPolicy); ok && p.Annotations[AnnotationSubnet] != "" {
			out = append(out, p)
		}
	}
	return out
}

// ObservabilityRemoval is the set that takes everything of a away. Its objects are the claims as they are specified now, so
// that one whose policy became Retain is retained. Those of parts that are switched off are among them.
func ObservabilityRemoval(a *v1alpha1.ObservabilityAddon) Set {
	r := newAddonRenderer(a, ObservabilityFacts{})
	set := Removal(r.owner)
	for _, p := range r.allPrograms() {
		if p.storage != nil {
			set.Objects = append(set.Objects, r.claim(&p))
		}
	}
	return set
}

// ObservabilityComponents are the names of the components of a that are switched on, in the order in which they are
// rendered.
func ObservabilityComponents(a *v1alpha1.ObservabilityAddon) []string {
	return newAddonRenderer(a, ObservabilityFacts{}).components()
}

// ObservabilityContainers are those that run the components of a that are switched on, with their images and ports. They can
// be told without the stack; of one that is not known it is assumed that it has a gateway.
func ObservabilityContainers(a *v1alpha1.ObservabilityAddon, f ObservabilityFacts) []corev1.Container {
	r := newAddonRenderer(a, f)
	var out []corev1.Container
	for _, p := range r.programs() {
		out = append(out, r.container(&p))
	}
	return out
}

// addonRenderer holds what every component of an addon is rendered from.
type addonRenderer struct {
	addon *v1alpha1.ObservabilityAddon
	stack *v1alpha1.MockupStack
	owner Owner
	facts StackFacts
}

func newAddonRenderer(a *v1alpha1.ObservabilityAddon, f ObservabilityFacts) *addonRenderer {
	r := &addonRenderer{addon: a.DeepCopy(), owner: ObservabilityOwner(a), facts: StackFacts{Images: f.Images, Secrets: f.Secrets}}
	r.stack = f.Stack.DeepCopy()
	if r.stack == nil {
		r.stack = &v1alpha1.MockupStack{}
		r.stack.Name = a.Spec.StackRef.Name
	}
	return r
}

// programs are those that are switched on.
func (r *addonRenderer) programs() []program {
	return slices.DeleteFunc(r.allPrograms(), func(p program) bool { return !r.wants(p.name) })
}

func (r *addonRenderer) allPrograms() []program {
	return []program{
		r.prometheus(), r.alertmanager(), r.loki(), r.promtail(), r.collector(), r.jaeger(), r.grafana(), r.gatewayExporter(),
	}
}
