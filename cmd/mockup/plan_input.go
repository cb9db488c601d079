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

// foresee puts what the control plane would make of the documents in their place, by a dry run, and adds what the stacks
// refer to beside.
func (in *renderInput) foresee(ctx context.Context, api client.Client, found []documents.Document) error {
	byKey := map[string]*v1alpha1.MockupStack{}
	for _, s := range in.stacks {
		byKey[keyOf(s)] = s
	}
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
		case "MockupStack":
			s := byKey[keyOf(made)]
			*s = v1alpha1.MockupStack{}
			err = into(after, s)
		case "Secret":
			err = in.addSecret(after)
		case "ConfigMap":
			c := &corev1.ConfigMap{}
			err = into(after, c)
			in.configMaps[keyOf(c)] = c
		}
		if err != nil {
			return err
		}
	}
	return in.addLive(ctx, api)
}

// rendered tells whether a document takes part in rendering.
func rendered(d documents.Document) bool {
	gvk := d.GroupVersionKind()
	return gvk.Group == v1alpha1.GroupVersion.Group && gvk.Kind == "MockupStack" ||
		gvk.Group == "" && (gvk.Kind == "Secret" || gvk.Kind == "ConfigMap")
}

// addLive adds the Secrets and ConfigMaps that the stacks refer to and that are in no file, or there already as the file
// has them.
func (in *renderInput) addLive(ctx context.Context, api client.Reader) error {
	for _, s := range in.stacks {
		refs := manifests.StackReferences(s)
		if selfSigned(s) {
			refs = append(refs, manifests.Reference{Kind: "Secret", Name: manifests.GatewayCAName(s.Name)})
		}
		for _, ref := range refs {
			key := types.NamespacedName{Namespace: s.Namespace, Name: ref.Name}
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

func selfSigned(s *v1alpha1.MockupStack) bool {
	return s.Spec.Gateway != nil && s.Spec.Gateway.TLS.SelfSigned != nil
}
