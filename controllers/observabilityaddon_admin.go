package controllers

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/passwords"
	"mockup.dev/mockup/manifests"
)

// ensureAdmin makes the password of Grafana's first user, once, where the addon names none. Grafana reads it only while it has
// no data, and keeps it with them. So the Secret belongs to nobody: it goes when the data goes, and not with the addon.
func (r *AddonReconciler) ensureAdmin(ctx context.Context, addon *v1alpha1.ObservabilityAddon, refs []manifests.Reference) error {
	i := slices.IndexFunc(refs, func(ref manifests.Reference) bool { return ref.Generated })
	if i < 0 {
		return nil
	}
	found, err := r.references.secret(ctx, addon.Namespace, refs[i].Name)
	if err != nil {
		return err
	}
	if found != nil {
		return r.disown(ctx, addon, found)
	}
	secret := passwords.New(addon.Namespace, refs[i].Name, refs[i].Keys[0])
	secret.Labels = map[string]string{manifests.LabelManagedBy: manifests.ManagedBy}
	if err := r.client.Create(ctx, secret); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("writing Secret %s: %w", secret.Name, err)
	}
	return nil
}

// disown a Secret that was the addon's own, as it was made before, so that it is not collected with it.
func (r *AddonReconciler) disown(ctx context.Context, addon *v1alpha1.ObservabilityAddon, secret *corev1.Secret) error {
	if !metav1.IsControlledBy(secret, addon) {
		return nil
	}
	secret.OwnerReferences = slices.DeleteFunc(secret.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == addon.UID })
	secret.Labels = map[string]string{manifests.LabelManagedBy: manifests.ManagedBy}
	if err := r.client.Update(ctx, secret); err != nil {
		return fmt.Errorf("keeping Secret %s: %w", secret.Name, err)
	}
	return nil
}

// releaseAdmin is what becomes of the password that was made for an addon which goes: it stays if Grafana's data stays. One that
// somebody else made under this name is left alone.
func (r *AddonReconciler) releaseAdmin(ctx context.Context, addon *v1alpha1.ObservabilityAddon) error {
	secret, err := r.references.secret(ctx, addon.Namespace, manifests.GrafanaAdminName(addon.Name))
	if err != nil || secret == nil {
		return err
	}
	if addon.Spec.Dashboards.Storage.ReclaimPolicy != v1alpha1.ReclaimDelete {
		return r.disown(ctx, addon, secret)
	}
	if secret.Labels[manifests.LabelManagedBy] != manifests.ManagedBy {
		return nil
	}
	if err := r.client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting Secret %s: %w", secret.Name, err)
	}
	return nil
}
