package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/internal/imagemap"
	"mockup.dev/mockup/internal/statedir"
)

// fieldManager owns the fields that up applies.
const fieldManager = "mockup-up"

// defaultNamespace is the one of objects that name none, as in the kubeconfig.
const defaultNamespace = metav1.NamespaceDefault

// apply applies the objects in the order of the files.
func (u *up) apply(ctx context.Context, say func(string)) (string, error) {
	if len(u.objects) == 0 {
		return "nothing to apply: what is there stays", nil
	}
	for _, d := range u.objects {
		name := d.GetKind() + "/" + d.GetName()
		say(name)
		if _, err := applyObject(ctx, u.api, d); err != nil {
			return "", fmt.Errorf("applying %s of %s: %w", name, d.Source, err)
		}
	}
	return fmt.Sprintf("applied %s", counted(len(u.objects), "object")), nil
}

// applyObject returns what the control plane made of an object.
func applyObject(ctx context.Context, c client.Client, d documents.Document, o ...client.ApplyOption) (*unstructured.Unstructured, error) {
	namespaced, err := c.IsObjectNamespaced(d)
	if meta.IsNoMatchError(err) {
		return nil, &exitError{exitUsage, fmt.Errorf("the control plane knows no kind %s in %s", d.GetKind(), d.GetAPIVersion())}
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the kind %s: %w", d.GetKind(), err)
	}
	if namespaced && d.GetNamespace() == "" {
		d.SetNamespace(defaultNamespace)
	}
	made := d.DeepCopy()
	err = c.Apply(ctx, client.ApplyConfigurationFromUnstructured(made), append(o, client.FieldOwner(fieldManager), client.ForceOwnership)...)
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return nil, &exitError{exitUsage, itemized(err)}
	}
	return made, err
}

// itemized puts every cause of a refusal on a line of its own.
func itemized(err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil || len(status.Status().Details.Causes) == 0 {
		return err
	}
	lines := []string{"it is not valid:"}
	for _, cause := range status.Status().Details.Causes {
		lines = append(lines, fmt.Sprintf("  %s: %s", cause.Field, cause.Message))
	}
	return errors.New(strings.Join(slices.Compact(lines), "\n"))
}

// keepImageMap copies the image map to the state folder, where the operator reads it; an empty path forgets it.
func keepImageMap(state statedir.Dir, path string) error {
	if path == "" {
		if err := os.Remove(state.ImageMap()); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("forgetting the image map: %w", err)
		}
		return nil
	}
	if _, err := imagemap.Load(path); err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading image map: %w", err)
	}
	if old, err := os.ReadFile(state.ImageMap()); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.WriteFile(state.ImageMap(), content, 0o600); err != nil {
		return fmt.Errorf("keeping the image map: %w", err)
	}
	return nil
}

// markUnknown says of every stack and addon that nobody knows at the moment whether it is ready.
func markUnknown(ctx context.Context, c client.Client) error {
	all, err := subjects(ctx, c, "")
	if err != nil {
		return err
	}
	for _, s := range all {
		before := s.DeepCopyObject().(client.Object)
		if !meta.SetStatusCondition(s.conditions, metav1.Condition{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonProgressing,
			Message: "the operator was not running", ObservedGeneration: s.GetGeneration(), LastTransitionTime: metav1.NewTime(time.Now()),
		}) {
			continue
		}
		if err := c.Status().Patch(ctx, s.Object, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("marking %s as unknown: %w", s, err)
		}
	}
	return nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// existing is path if there is such a file, else empty.
func existing(path string) string {
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
