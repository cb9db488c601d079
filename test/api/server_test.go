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
	of := func(kind *kind) dynamic.ResourceInterface {
		return client.Resource(schema.GroupVersionResource{Group: "mockup.dev", Version: "v1alpha1", Resource: kind.resource}).Namespace("default")
	}
	eachKind(t, func(t *testing.T, kind *kind) {
		for _, c := range append(kind.cases(), boundCases(t, kind)...) {
			t.Run(c.name, func(t *testing.T) { check(t, kind, of(kind), c) })
		}
	})
	t.Run("unknown fields", func(t *testing.T) { checkUnknownFields(t, of(stacks)) })
	t.Run("samples", func(t *testing.T) { checkSamples(t, of) })
}

// check offers the neighbour and the refused object of a case, in dry runs.
func check(t *testing.T, kind *kind, objects dynamic.ResourceInterface, c refusal) {
	var offer func(e edits) error
	if c.from == nil {
		offer = func(e edits) error { return create(objects, kind.object(e), metav1.DryRunAll) }
	} else {
		offer = func(e edits) error { return update(objects, kind.object(e)) }
		if err := create(objects, kind.object(c.from)); err != nil {
			t.Fatalf("storing the object to update: %v", err)
		}
		defer func() {
			if err := objects.Delete(context.Background(), kind.object(nil).GetName(), metav1.DeleteOptions{}); err != nil {
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

func create(objects dynamic.ResourceInterface, u *unstructured.Unstructured, dryRun ...string) error {
	_, err := objects.Create(context.Background(), u, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: dryRun})
	return err
}

func update(objects dynamic.ResourceInterface, u *unstructured.Unstructured) error {
	stored, err := objects.Get(context.Background(), u.GetName(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	u.SetResourceVersion(stored.GetResourceVersion())
	_, err = objects.Update(context.Background(), u, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll}})
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
func checkUnknownFields(t *testing.T, objects dynamic.ResourceInterface) {
	for _, path := range []string{
		"spec.services[0].probes.liveness.sleep",
		"spec.services[0].resources.claims",
		"spec.services[0].resources.limits.ephemeral-storage",
		"spec.services[0].securityContext",
	} {
		err := create(objects, stacks.object(one(path, "1")), metav1.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), `unknown field "`+path+`"`) {
			t.Errorf("%s: got %v, want it to be refused as unknown", path, err)
		}
	}
	if err := create(objects, stacks.object(one("spec.services[0].probes.liveness.tcpSocket.port", "http")), metav1.DryRunAll); err == nil {
		t.Error("a named port is accepted")
	}
}

func checkSamples(t *testing.T, of func(*kind) dynamic.ResourceInterface) {
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
		objects := of(map[string]*kind{"MockupStack": stacks, "ObservabilityAddon": addons, "BackupPolicy": policies}[u.GetKind()])
		options := metav1.ApplyOptions{FieldManager: "test"}
		if _, err := objects.Apply(context.Background(), u.GetName(), u, options); err != nil {
			t.Errorf("%s is refused: %v", file, err)
		}
		if err := create(objects, u, metav1.DryRunAll); !apierrors.IsAlreadyExists(err) {
			t.Errorf("%s is not accepted strictly: %v", file, err)
		}
		applied++
	}
	if applied < 4 {
		t.Errorf("%d samples, want at least 4", applied)
	}
}
