package manifests

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// StackOwner is the owner of what Stack renders for s.
func StackOwner(s *v1alpha1.MockupStack) Owner {
	namespace := s.Namespace
	if namespace == "" {
		namespace = defaultNamespace
	}
	return Owner{Kind: "MockupStack", Namespace: namespace, Name: s.Name, UID: s.UID}
}

// Stack renders s: its networks, volumes, services and gateway, in the order in which they are best created. s and f
// are left as they are.
//
// The error is an *InvalidError, several of them joined, or a *MissingError. With the latter the set is whole but for
// the copies and digests of what is missing: fit to be looked at, not to be applied.
func Stack(s *v1alpha1.MockupStack, f StackFacts) (Set, error) {
	if err := validateStack(s); err != nil {
		return Set{}, err
	}
	r := &renderer{stack: s.DeepCopy(), owner: StackOwner(s), facts: f}
	set := Set{Owner: r.owner}
	set.Objects = append(set.Objects, r.networks()...)
	set.Objects = append(set.Objects, r.claims()...)

	var parts []component
	for i := range r.stack.Spec.Services {
		parts = append(parts, r.service(&r.stack.Spec.Services[i]))
	}
	if r.stack.Spec.Gateway != nil {
		gateway, err := r.gateway()
		if err != nil {
			return Set{}, err
		}
		parts = append(parts, gateway)
	}
	set.Objects = append(set.Objects, inOrder(parts)...)

	refs := StackReferences(s)
	set.Secrets, set.ConfigMaps = f.copies(refs)
	if err := ownNames(set, refs); err != nil {
		return Set{}, err
	}
	return set, f.missing(refs)
}

// renderer holds what every part of a stack is rendered from.
type renderer struct {
	stack *v1alpha1.MockupStack
	owner Owner
	facts StackFacts
}

// component is the gateway or a service.
type component struct {
	configs    []Object
	services   []Object
	deployment Object
}

// inOrder puts configuration before names and names before programs.
func inOrder(parts []component) []Object {
	var configs, services, deployments []Object
	for _, p := range parts {
		configs = append(configs, p.configs...)
		services = append(services, p.services...)
		deployments = append(deployments, p.deployment)
	}
	return append(append(configs, services...), deployments...)
}

// meta is the metadata of an object that belongs to component.
func (r *renderer) meta(name, component string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: r.owner.Namespace, Labels: objectLabels(r.owner, component)}
}

func (r *renderer) configMap(name, component string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{TypeMeta: typeMeta("v1", "ConfigMap"), ObjectMeta: r.meta(name, component), Data: data}
}

// ownNames fails where a reference names a ConfigMap that the set makes itself.
func ownNames(set Set, refs []Reference) error {
	own := map[Ref]bool{}
	for _, o := range set.Objects {
		own[RefOf(o)] = true
	}
	for _, r := range refs {
		if own[Ref{Kind: r.Kind, Name: r.Name}] {
			return &InvalidError{Field: r.Field, Value: r.Name, Reason: fmt.Sprintf("is a %s that the stack makes itself", r.Kind)}
		}
	}
	return nil
}

// StackRemoval is the set that takes everything of s away. Its objects are the claims as they are specified now, so that
// one whose policy became Retain is retained.
func StackRemoval(s *v1alpha1.MockupStack) Set {
	r := &renderer{stack: s.DeepCopy(), owner: StackOwner(s)}
	set := Removal(r.owner)
	set.Objects = r.claims()
	return set
}
