// Package config_test holds what is in config/ to a real API server.
package config_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// establishTimeout is how long the API server may take until it serves a definition.
const establishTimeout = 30 * time.Second

// TestStrictly renders what is applied to a cluster and lets a real kube-apiserver take all of it, refusing unknown and
// duplicate fields. What others need, such as namespaces and definitions, is really created.
func TestStrictly(t *testing.T) {
	server := start(t)
	readAll(t, "../../config")
	for _, folder := range []string{"../../config/default", "../../config/samples"} {
		objects := render(t, folder)
		if len(objects) < 2 {
			t.Errorf("%s has %d objects, want more", folder, len(objects))
		}
		for _, object := range objects {
			if err := apply(server, object); err != nil {
				t.Errorf("%s: %s %s: %v", folder, object.GetKind(), object.GetName(), err)
			}
		}
	}
}

func start(t *testing.T) *rest.Config {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal(`KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd: export KUBEBUILDER_ASSETS="$(hack/testbins)"`)
	}
	server := &envtest.Environment{}
	config, err := server.Start()
	if err != nil {
		t.Fatalf("starting kube-apiserver: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stopping kube-apiserver: %v", err)
		}
	})
	return config
}

// readAll reads every file below a folder, for Go's cache of test results minds the files that a test itself has read.
func readAll(t *testing.T, folder string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			_, err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// render is what `kubectl kustomize` prints for a folder.
func render(t *testing.T, folder string) (objects []*unstructured.Unstructured) {
	t.Helper()
	kubectl := "../../bin/kubectl"
	if _, err := os.Stat(kubectl); err != nil {
		kubectl = "kubectl"
	}
	var stderr bytes.Buffer
	command := exec.Command(kubectl, "kustomize", folder)
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("running %v: %v\n%s", command.Args, err, &stderr)
	}
	documents := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(out), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatalf("reading what is rendered from %s: %v", folder, err)
		}
		objects = append(objects, object)
	}
}

// apply creates an object strictly; a dry run suffices for what nothing depends on.
func apply(config *rest.Config, object *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(context.Background(), establishTimeout)
	defer cancel()
	// A client of its own has no old list of kinds.
	c, err := client.New(config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	options := []client.CreateOption{client.FieldValidation(metav1.FieldValidationStrict)}
	switch object.GetKind() {
	case "Namespace", "ServiceAccount":
		return c.Create(ctx, object, options...)
	case "CustomResourceDefinition":
		return define(ctx, c, config, object, options)
	}
	options = append(options, client.DryRunAll)
	if err := c.Create(ctx, object, options...); err != nil || object.GetKind() != "Deployment" {
		return err
	}
	// A Deployment is taken even if its pods never would be: they must pass Pod Security.
	return c.Create(ctx, podOf(object), options...)
}

// podOf is a pod as the Deployment would make it.
func podOf(deployment *unstructured.Unstructured) *unstructured.Unstructured {
	pod := &unstructured.Unstructured{}
	pod.Object, _, _ = unstructured.NestedMap(deployment.Object, "spec", "template")
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetNamespace(deployment.GetNamespace())
	pod.SetName(deployment.GetName())
	return pod
}

func define(ctx context.Context, c client.Client, config *rest.Config, object *unstructured.Unstructured, options []client.CreateOption) error {
	if err := c.Create(ctx, object, options...); err != nil {
		return err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, crd); err != nil {
		return err
	}
	return envtest.WaitForCRDs(config, []*apiextensionsv1.CustomResourceDefinition{crd}, envtest.CRDInstallOptions{MaxTime: establishTimeout, PollInterval: 100 * time.Millisecond})
}
