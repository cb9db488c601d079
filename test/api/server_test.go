package api_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/internal/controlplane/controlplanetest"
)

// TestServer asks a real API server: every case, fields that do not exist, and the samples.
func TestServer(t *testing.T) {
	config, stop, err := controlplanetest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	stacks := client.Resource(schema.GroupVersionResource{Group: "mockup.dev", Version: "v1alpha1", Resource: "mockupstacks"}).Namespace("default")
	t.Run("refuses", func(t *testing.T) {
		for _, c := range append(refusals(), boundCases(t)...) {
			t.Run(c.name, func(t *testing.T) { check(t, stacks, c) })
		}
	})
	t.Run("unknown fields", func(t *testing.T) { checkUnknownFields(t, stacks) })
	t.Run("samples", func(t *testing.T) { checkSamples(t, stacks) })
}

// check offers the neighbour and the refused stack of a case, in dry runs.
func check(t *testing.T, stacks dynamic.ResourceInterface, c refusal) {
	var offer func(e edits) error
	if c.from == nil {
		offer = func(e edits) error { return create(stacks, stack(e), metav1.DryRunAll) }
	} else {
		offer = func(e edits) error { return update(stacks, stack(e)) }
		if err := create(stacks, stack(c.from)); err != nil {
			t.Fatalf("storing the stack to update: %v", err)
		}
		defer func() {
			if err := stacks.Delete(context.Background(), "stack", metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}()
	}
	if err := offer(c.accepted); err != nil {
		t.Errorf("the neighbour is refused: %v", err)
	}
	found := causes(offer(c.refused))
	if len(found) != 1 || found[0].Field != c.field || !strings.Contains(found[0].Message, c.reason) {
		t.Errorf("got causes %+v\nwant one with field %s and a message with %s", found, c.field, c.reason)
	}
}

func create(stacks dynamic.ResourceInterface, u *unstructured.Unstructured, dryRun ...string) error {
	_, err := stacks.Create(context.Background(), u, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: dryRun})
	return err
}

func update(stacks dynamic.ResourceInterface, u *unstructured.Unstructured) error {
	stored, err := stacks.Get(context.Background(), u.GetName(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	u.SetResourceVersion(stored.GetResourceVersion())
	_, err = stacks.Update(context.Background(), u, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll}})
	return err
}

// causes are those of an error of the API server, without its remark that it has stopped checking.
func causes(err error) (found []metav1.StatusCause) {
	var status *apierrors.StatusError
	if !errors.As(err, &status) || status.ErrStatus.Details == nil {
		return nil
	}
	for _, c := range status.ErrStatus.Details.Causes {
		if !strings.Contains(c.Message, "some validation rules were not checked") {
			found = append(found, c)
		}
	}
	return found
}

// checkUnknownFields is about what Kubernetes has and a stack has not, because Podman would ignore it.
func checkUnknownFields(t *testing.T, stacks dynamic.ResourceInterface) {
	for _, path := range []string{
		"spec.services[0].probes.liveness.sleep",
		"spec.services[0].resources.claims",
		"spec.services[0].resources.limits.ephemeral-storage",
		"spec.services[0].securityContext",
	} {
		err := create(stacks, stack(one(path, "1")), metav1.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), `unknown field "`+path+`"`) {
			t.Errorf("%s: got %v, want it to be refused as unknown", path, err)
		}
	}
	if err := create(stacks, stack(one("spec.services[0].probes.liveness.tcpSocket.port", "http")), metav1.DryRunAll); err == nil {
		t.Error("a named port is accepted")
	}
}

func checkSamples(t *testing.T, stacks dynamic.ResourceInterface) {
	files, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	applied := 0
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(data, &u.Object); err != nil {
			t.Fatalf("reading %s: %v", file, err)
		}
		options := metav1.ApplyOptions{FieldManager: "test"}
		if _, err := stacks.Apply(context.Background(), u.GetName(), u, options); err != nil {
			t.Errorf("%s is refused: %v", file, err)
		}
		if err := create(stacks, u, metav1.DryRunAll); !apierrors.IsAlreadyExists(err) {
			t.Errorf("%s is not accepted strictly: %v", file, err)
		}
		applied++
	}
	if applied < 2 {
		t.Errorf("%d samples, want at least 2", applied)
	}
}
