package main

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/config/crd"
	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/internal/offline"
	"mockup.dev/mockup/manifests"
)

// renderInput is what the files hold.
type renderInput struct {
	stacks   []*v1alpha1.MockupStack
	addons   []*v1alpha1.ObservabilityAddon
	policies []*v1alpha1.BackupPolicy
	// running renders policies with a backup that goes on, and not as they are now.
	running    bool
	secrets    map[string]*corev1.Secret // by namespace/name
	configMaps map[string]*corev1.ConfigMap
	images     map[string]string
}

// readInput checks and sorts the objects. Its error holds every field that is wrong.
func readInput(ctx context.Context, found []documents.Document) (*renderInput, error) {
	crds, err := crd.Objects()
	if err != nil {
		return nil, err
	}
	validator, err := offline.New(crds)
	if err != nil {
		return nil, err
	}
	in := &renderInput{secrets: map[string]*corev1.Secret{}, configMaps: map[string]*corev1.ConfigMap{}}
	var errs []error
	for _, d := range found {
		switch gvk := d.GroupVersionKind(); {
		case gvk.Group == v1alpha1.GroupVersion.Group:
			wrong := validator.Check(ctx, d.Unstructured)
			for _, e := range wrong {
				errs = append(errs, fmt.Errorf("%s: %s/%s: %w", d.Source, d.GetKind(), d.GetName(), e))
			}
			if len(wrong) == 0 {
				errs = append(errs, in.addSubject(d))
			}
		case gvk.Kind == "Secret" && gvk.Group == "":
			errs = append(errs, in.addSecret(d))
		case gvk.Kind == "ConfigMap" && gvk.Group == "":
			c := &corev1.ConfigMap{}
			errs = append(errs, into(d, c))
			in.configMaps[keyOf(c)] = c
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(in.stacks)+len(in.addons)+len(in.policies) == 0 {
		return nil, errors.New("the files hold no MockupStack, ObservabilityAddon or BackupPolicy")
	}
	return in, nil
}

// addSubject adds a stack, an addon or a policy.
func (in *renderInput) addSubject(d documents.Document) error {
	switch kindOf(d.GroupVersionKind()) {
	case stackKind:
		s := &v1alpha1.MockupStack{}
		in.stacks = append(in.stacks, s)
		return into(d, s)
	case addonKind:
		a := &v1alpha1.ObservabilityAddon{}
		in.addons = append(in.addons, a)
		return into(d, a)
	case policyKind:
		p := &v1alpha1.BackupPolicy{}
		in.policies = append(in.policies, p)
		return into(d, p)
	}
	return nil
}

func (in *renderInput) addSecret(d documents.Document) error {
	s := &corev1.Secret{}
	if err := into(d, s); err != nil {
		return err
	}
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for k, v := range s.StringData {
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	in.secrets[keyOf(s)] = s
	return nil
}

// into decodes a document, in the default namespace if it names none.
func into(d documents.Document, out interface{ SetNamespace(string) }) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(d.Object, out, true); err != nil {
		return fmt.Errorf("%s: %s/%s: %w", d.Source, d.GetKind(), d.GetName(), err)
	}
	out.SetNamespace(either(d.GetNamespace(), defaultNamespace))
	return nil
}

// render renders every stack, then every addon, and then every policy; missing are the references of each that no file satisfies.
func (in *renderInput) render() (sets []manifests.Set, missing [][]manifests.Reference, err error) {
	add := func(set manifests.Set, err error) error {
		var absent *manifests.MissingError
		if err != nil && !errors.As(err, &absent) {
			return err
		}
		var references []manifests.Reference
		if absent != nil {
			references = absent.References
		}
		sets, missing = append(sets, set), append(missing, references)
		return nil
	}
	for _, s := range in.stacks {
		if err := add(in.renderStack(s)); err != nil {
			return nil, nil, fmt.Errorf("stack %s: %w", keyOf(s), err)
		}
	}
	for _, a := range in.addons {
		if err := add(in.renderAddon(a)); err != nil {
			return nil, nil, fmt.Errorf("addon %s: %w", keyOf(a), err)
		}
	}
	for _, p := range in.policies {
		if err := add(in.renderPolicy(p)); err != nil {
			return nil, nil, fmt.Errorf("backup %s: %w", keyOf(p), err)
		}
	}
	return sets, missing, nil
}

func (in *renderInput) renderStack(s *v1alpha1.MockupStack) (manifests.Set, error) {
	facts := manifests.StackFacts{Images: in.images, Tracing: manifests.TracingAmong(s, in.addons)}
	facts.Secrets, facts.ConfigMaps = in.referred(s.Namespace, manifests.StackReferences(s))
	return manifests.Stack(s, facts)
}

func (in *renderInput) renderAddon(a *v1alpha1.ObservabilityAddon) (manifests.Set, error) {
	facts := manifests.ObservabilityFacts{Images: in.images}
	var err error
	if facts.Stack, err = in.stackOf(a.Namespace, a.Spec.StackRef.Name, "watches"); err != nil {
		return manifests.Set{}, err
	}
	facts.Secrets, _ = in.referred(a.Namespace, manifests.ObservabilityReferences(a))
	return manifests.Observability(a, facts)
}

// stackOf finds the stack that another resource refers to.
func (in *renderInput) stackOf(namespace, name, does string) (*v1alpha1.MockupStack, error) {
	for _, s := range in.stacks {
		if s.Namespace == namespace && s.Name == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("there is no MockupStack %s, which it %s: name its file with -f, too", name, does)
}

func (in *renderInput) renderPolicy(p *v1alpha1.BackupPolicy) (manifests.Set, error) {
	facts := manifests.BackupFacts{Images: in.images}
	var err error
	if facts.Stack, err = in.stackOf(p.Namespace, p.Spec.StackRef.Name, "backs up"); err != nil {
		return manifests.Set{}, err
	}
	switch {
	case in.running:
		facts.Request = &v1alpha1.BackupRequest{ID: "now", Operation: v1alpha1.BackupRunNow}
	case p.Status.Run != nil:
		facts.Request = &p.Status.Run.BackupRequest
	}
	facts.Secrets, _ = in.referred(p.Namespace, manifests.BackupReferences(p))
	return manifests.Backup(p, facts)
}

// referred are those of the Secrets and ConfigMaps of a namespace that refs name, by name.
func (in *renderInput) referred(namespace string, refs []manifests.Reference) (map[string]*corev1.Secret, map[string]*corev1.ConfigMap) {
	secrets, configMaps := map[string]*corev1.Secret{}, map[string]*corev1.ConfigMap{}
	for _, ref := range refs {
		key := namespace + "/" + ref.Name
		if found := in.secrets[key]; ref.Kind == "Secret" && found != nil {
			secrets[ref.Name] = found
		}
		if found := in.configMaps[key]; ref.Kind == "ConfigMap" && found != nil {
			configMaps[ref.Name] = found
		}
	}
	return secrets, configMaps
}
