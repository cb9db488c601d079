package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"mockup.dev/mockup/manifests"
)

// references reads what resources refer to when it is needed, and keeps the Secrets that the operator makes.
type references struct {
	client client.Client
	live   client.Reader
}

// keep creates or updates a Secret that belongs to owner.
func (r references) keep(ctx context.Context, owner client.Object, want *corev1.Secret) error {
	if err := controllerutil.SetControllerReference(owner, want, r.client.Scheme()); err != nil {
		return fmt.Errorf("owning Secret %s: %w", want.Name, err)
	}
	err := r.client.Create(ctx, want)
	if apierrors.IsAlreadyExists(err) {
		err = r.client.Update(ctx, want)
	}
	if err != nil {
		return fmt.Errorf("writing Secret %s: %w", want.Name, err)
	}
	return nil
}

// secret is nil when there is no Secret of this name.
func (r references) secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	found := &corev1.Secret{}
	err := r.live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, found)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", name, err)
	}
	return found, nil
}

// read finds the Secrets and ConfigMaps of refs, by name; those that are missing are for rendering to complain about.
func (r references) read(ctx context.Context, namespace string, refs []manifests.Reference) (map[string]*corev1.Secret, map[string]*corev1.ConfigMap, error) {
	secrets, configMaps := map[string]*corev1.Secret{}, map[string]*corev1.ConfigMap{}
	for _, ref := range refs {
		key := types.NamespacedName{Namespace: namespace, Name: ref.Name}
		var err error
		switch ref.Kind {
		case "Secret":
			found := &corev1.Secret{}
			if err = r.live.Get(ctx, key, found); err == nil {
				secrets[ref.Name] = found
			}
		case "ConfigMap":
			found := &corev1.ConfigMap{}
			if err = r.live.Get(ctx, key, found); err == nil {
				configMaps[ref.Name] = found
			}
		}
		if client.IgnoreNotFound(err) != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", ref, err)
		}
	}
	return secrets, configMaps, nil
}
