package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/certificates"
	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/manifests"
)

// foresee puts what the control plane would make of the documents in their place, by a dry run, and adds what they refer to
// and who is concerned beside.
func (in *renderInput) foresee(ctx context.Context, api client.Client, found []documents.Document) error {
	in.stacks, in.addons, in.policies = nil, nil, nil
	for _, d := range found {
		if !rendered(d) {
			continue
		}
		made, err := applyObject(ctx, api, d, client.DryRunAll)
		if err != nil {
			return fmt.Errorf("asking what would become of %s/%s of %s: %w", d.GetKind(), d.GetName(), d.Source, err)
		}
		made.SetResourceVersion("") // a version that nobody has seen yet; the live one is put back below if nothing changes
		after := documents.Document{Unstructured: made, Source: d.Source}
		switch d.GetKind() {
		case "Secret":
			err = in.addSecret(after)
		case "ConfigMap":
			c := &corev1.ConfigMap{}
			err = into(after, c)
			in.configMaps[keyOf(c)] = c
		default:
			err = in.addSubject(after)
		}
		if err != nil {
			return err
		}
	}
	if err := in.addConcerned(ctx, api); err != nil {
		return err
	}
	return in.addLive(ctx, api)
}

// addConcerned adds the stacks that the addons watch, which send traces to them, and the addons that watch the stacks, which
// scrape their services.
func (in *renderInput) addConcerned(ctx context.Context, api client.Reader) error {
	all, err := subjects(ctx, api, "")
	if err != nil {
		return err
	}
	planned, concerned := map[string]bool{}, map[string]bool{}
	for _, s := range in.subjects() {
		planned[s.String()], concerned[s.watched()] = true, true
	}
	for _, s := range all {
		if planned[s.String()] || !concerned[s.watched()] || !s.GetDeletionTimestamp().IsZero() {
			continue
		}
		switch o := s.Object.(type) {
		case *v1alpha1.MockupStack:
			in.stacks = append(in.stacks, o)
		case *v1alpha1.ObservabilityAddon:
			in.addons = append(in.addons, o)
		case *v1alpha1.BackupPolicy:
			in.policies = append(in.policies, o)
		}
	}
	return nil
}

// subjects are the stacks, then the addons, and then the policies.
func (in *renderInput) subjects() []*subject {
	var all []*subject
	for _, s := range in.stacks {
		all = append(all, stackSubject(s))
	}
	for _, a := range in.addons {
		all = append(all, addonSubject(a))
	}
	for _, p := range in.policies {
		all = append(all, policySubject(p))
	}
	return all
}

// rendered tells whether a document takes part in rendering.
func rendered(d documents.Document) bool {
	gvk := d.GroupVersionKind()
	return kindOf(gvk) != nil || gvk.Group == "" && (gvk.Kind == "Secret" || gvk.Kind == "ConfigMap")
}

// addLive adds the Secrets and ConfigMaps that stacks and addons refer to and that are in no file, or there already as the
// file has them.
func (in *renderInput) addLive(ctx context.Context, api client.Reader) error {
	for _, s := range in.subjects() {
		for _, ref := range s.references() {
			key := types.NamespacedName{Namespace: s.GetNamespace(), Name: ref.Name}
			var err error
			if ref.Kind == "Secret" {
				err = addLive(ctx, api, key, &corev1.Secret{}, in.secrets, sameSecret)
			} else {
				err = addLive(ctx, api, key, &corev1.ConfigMap{}, in.configMaps, sameConfigMap)
			}
			if err != nil {
				return fmt.Errorf("reading %s: %w", ref, err)
			}
		}
	}
	return nil
}

// references of a subject, and of a stack its certificate authority, which is referred to by its certificate alone.
func (s *subject) references() []manifests.Reference {
	switch o := s.Object.(type) {
	case *v1alpha1.ObservabilityAddon:
		return manifests.ObservabilityReferences(o)
	case *v1alpha1.BackupPolicy:
		return manifests.BackupReferences(o)
	}
	stack := s.Object.(*v1alpha1.MockupStack)
	refs := manifests.StackReferences(stack)
	if selfSigned(stack) {
		refs = append(refs, manifests.Reference{Kind: "Secret", Name: manifests.GatewayCAName(stack.Name)})
	}
	return refs
}

func sameSecret(a, b *corev1.Secret) bool { return equality.Semantic.DeepEqual(a.Data, b.Data) }

func sameConfigMap(a, b *corev1.ConfigMap) bool {
	return equality.Semantic.DeepEqual(a.Data, b.Data) && equality.Semantic.DeepEqual(a.BinaryData, b.BinaryData)
}

// addLive takes the live object unless a file makes another of it.
func addLive[T client.Object](
	ctx context.Context, api client.Reader, key types.NamespacedName, live T, known map[string]T, same func(a, b T) bool,
) error {
	err := api.Get(ctx, key, live)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if other, ok := known[key.String()]; !ok || same(live, other) {
		known[key.String()] = live
	}
	return nil
}

// foreseeCertificates puts certificates in the place of those that the operator would make or renew, and says of which. Only
// that they are others than now takes part in what is foreseen.
func (in *renderInput) foreseeCertificates() (notes []string, err error) {
	for _, s := range in.stacks {
		if !selfSigned(s) {
			continue
		}
		authority := in.secrets[s.Namespace+"/"+manifests.GatewayCAName(s.Name)]
		server := in.secrets[s.Namespace+"/"+manifests.GatewayTLSName(s.Name)]
		if server != nil && authority == nil {
			continue // written by hand, or by "render --new-secrets"
		}
		ca, tls, changed, err := certificates.GatewaySecrets(s, authority, server, time.Now())
		if err != nil {
			return nil, fmt.Errorf("foreseeing the certificates of stack %s: %w", keyOf(s), err)
		}
		if !changed {
			continue
		}
		in.secrets[keyOf(ca)], in.secrets[keyOf(tls)] = ca, tls
		what := "make"
		if server != nil {
			what = "renew"
		}
		notes = append(notes, fmt.Sprintf("The operator would %s the certificate Secret/%s.", what, tls.Name))
	}
	return notes, nil
}

// foreseePasswords puts passwords in the place of those that the operator would make, and says of which.
func (in *renderInput) foreseePasswords() (notes []string) {
	for _, s := range in.newPasswords() {
		in.secrets[keyOf(s)] = s
		notes = append(notes, fmt.Sprintf("The operator would make the password Secret/%s.", s.Name))
	}
	return notes
}

func selfSigned(s *v1alpha1.MockupStack) bool {
	return s.Spec.Gateway != nil && s.Spec.Gateway.TLS.SelfSigned != nil
}
