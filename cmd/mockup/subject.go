package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// kind is one of those that the operator brings to life.
type kind struct {
	// name as in manifests, and word for people.
	name, word string
	list       func() client.ObjectList
}

// The kinds, each after what it needs.
var (
	stackKind = &kind{"MockupStack", "stack", func() client.ObjectList { return &v1alpha1.MockupStackList{} }}
	addonKind = &kind{"ObservabilityAddon", "addon", func() client.ObjectList { return &v1alpha1.ObservabilityAddonList{} }}
	// A policy is called by what it is for.
	policyKind = &kind{"BackupPolicy", "backup", func() client.ObjectList { return &v1alpha1.BackupPolicyList{} }}

	kinds = []*kind{stackKind, addonKind, policyKind}
)

// kindOf is nil for what the operator does not bring to life.
func kindOf(gvk schema.GroupVersionKind) *kind {
	for _, k := range kinds {
		if gvk.GroupKind() == v1alpha1.GroupVersion.WithKind(k.name).GroupKind() {
			return k
		}
	}
	return nil
}

// subject is a stack, an addon that watches one, or a policy that backs one up, as far as the verbs treat all alike.
type subject struct {
	// Object is the resource itself, a *v1alpha1.MockupStack, *v1alpha1.ObservabilityAddon or *v1alpha1.BackupPolicy.
	client.Object
	kind *kind
	// stack is the name of the stack that it is, watches, or backs up.
	stack string
	// components that are specified, by name.
	components []string

	observedGeneration int64
	conditions         *[]metav1.Condition
	// workloads with their state, the gateway first; ready counts them, e.g. "4/4".
	workloads []v1alpha1.WorkloadStatus
	ready     string
	// revision of the specification; 0 if none is kept.
	revision int64
	refusals int
}

// subjectOf is o as the verbs read it; nil for anything of another kind.
func subjectOf(o runtime.Object) *subject {
	switch o := o.(type) {
	case *v1alpha1.MockupStack:
		return stackSubject(o)
	case *v1alpha1.ObservabilityAddon:
		return addonSubject(o)
	case *v1alpha1.BackupPolicy:
		return policySubject(o)
	}
	return nil
}

func policySubject(p *v1alpha1.BackupPolicy) *subject {
	return &subject{
		Object: p, kind: policyKind, stack: p.Spec.StackRef.Name,
		observedGeneration: p.Status.ObservedGeneration, conditions: &p.Status.Conditions, refusals: len(p.Status.Refusals),
	}
}

func stackSubject(s *v1alpha1.MockupStack) *subject {
	out := &subject{
		Object: s, kind: stackKind, stack: s.Name, components: components(s),
		observedGeneration: s.Status.ObservedGeneration, conditions: &s.Status.Conditions,
		ready: s.Status.Workloads, revision: s.Status.Revision, refusals: len(s.Status.Refusals),
	}
	if s.Status.Gateway != nil {
		out.workloads = append(out.workloads, *s.Status.Gateway)
	}
	out.workloads = append(out.workloads, s.Status.Services...)
	return out
}

func addonSubject(a *v1alpha1.ObservabilityAddon) *subject {
	out := &subject{
		Object: a, kind: addonKind, stack: a.Spec.StackRef.Name, components: manifests.ObservabilityComponents(a),
		observedGeneration: a.Status.ObservedGeneration, conditions: &a.Status.Conditions,
		ready: a.Status.Ready, refusals: len(a.Status.Refusals),
	}
	for _, c := range a.Status.Components {
		w := v1alpha1.WorkloadStatus{Name: c.Name, Phase: c.Phase, Ready: c.Ready, Image: c.Image, Restarts: c.Restarts, Reason: c.Reason, Message: c.Message}
		if c.Endpoint != "" {
			w.Endpoints = []string{c.Endpoint}
		}
		if c.Phase == string(backend.Ready) { // as wanted, and so of the newest specification
			w.Updated = c.Ready
		}
		out.workloads = append(out.workloads, w)
	}
	return out
}

// String is the subject for people, e.g. "stack default/shop".
func (s *subject) String() string { return s.kind.word + " " + keyOf(s) }

// watched is the key of the stack that it is, watches, or backs up.
func (s *subject) watched() string { return s.GetNamespace() + "/" + s.stack }

// removal takes everything of the subject away but what its specification retains.
func (s *subject) removal() manifests.Set {
	switch o := s.Object.(type) {
	case *v1alpha1.ObservabilityAddon:
		return manifests.ObservabilityRemoval(o)
	case *v1alpha1.BackupPolicy:
		return manifests.BackupRemoval(o)
	}
	return manifests.StackRemoval(s.Object.(*v1alpha1.MockupStack))
}

// titleOf an owner is it for people, e.g. "stack default/shop".
func titleOf(o manifests.Owner) string {
	for _, k := range kinds {
		if k.name == o.Kind {
			return k.word + " " + nameOf(o)
		}
	}
	return o.String()
}

// subjects lists the stacks of a namespace, of all if it is empty, then the addons and then the policies, each sorted by name.
// A control plane of an older version may know stacks only.
func subjects(ctx context.Context, c client.Reader, namespace string) ([]*subject, error) {
	var all []*subject
	for _, k := range kinds {
		found, err := k.subjects(ctx, c, namespace)
		if err != nil && (k == stackKind || !meta.IsNoMatchError(err)) {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// subjects lists those of one kind.
func (k *kind) subjects(ctx context.Context, c client.Reader, namespace string) ([]*subject, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list := k.list()
	if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing %ss: %w", k.word, err)
	}
	var all []*subject
	err := meta.EachListItem(list, func(o runtime.Object) error {
		all = append(all, subjectOf(o))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing %ss: %w", k.word, err)
	}
	slices.SortFunc(all, func(a, b *subject) int { return strings.Compare(keyOf(a), keyOf(b)) })
	return all, nil
}

// ofKind are those of all that are of one kind.
func ofKind(all []*subject, k *kind) []*subject {
	var out []*subject
	for _, s := range all {
		if s.kind == k {
			out = append(out, s)
		}
	}
	return out
}

// countedKinds says how many there are of each kind, e.g. "2 stacks and 1 addon". Of what there is none, but stacks, nothing
// is said.
func countedKinds(all []*subject) string {
	text := counted(len(ofKind(all, stackKind)), stackKind.word)
	for _, k := range kinds[1:] {
		if n := len(ofKind(all, k)); n > 0 {
			text += " and " + counted(n, k.word)
		}
	}
	return text
}
