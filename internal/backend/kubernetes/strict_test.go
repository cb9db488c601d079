package kubernetes_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/internal/backend/kubernetes"
)

// TestAClusterAcceptsWhatIsRendered sends every document of the golden files, byte for byte, to a real API server that
// takes no unknown and no doubled field.
func TestAClusterAcceptsWhatIsRendered(t *testing.T) {
	files, err := filepath.Glob("../../../manifests/testdata/*.golden.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			documents, err := documentsOf(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(documents) == 0 {
				t.Fatal("the file has no documents")
			}
			for _, document := range documents {
				if err := strictly(t, document); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestStrictIsStrict shows that the test above can fail.
func TestStrictIsStrict(t *testing.T) {
	for name, document := range map[string]string{
		"unknown field": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndate: {}\n",
		"doubled field": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b, a: c}\n",
		"wrong type":    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: 5}\n",
		"invalid value": "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 99999}]}\n",
	} {
		if err := strictly(t, []byte(document)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// documentsOf a file that hold more than comments.
func documentsOf(file string) ([][]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	reader := utilyaml.NewYAMLReader(bufio.NewReader(f))
	var documents [][]byte
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		for line := range strings.Lines(string(document)) {
			if text := strings.TrimSpace(line); text != "" && text != "---" && !strings.HasPrefix(text, "#") {
				documents = append(documents, document)
				break
			}
		}
	}
}

// strictly applies a document to the API server without an effect.
func strictly(t *testing.T, document []byte) error {
	t.Helper()
	var o unstructured.Unstructured
	if err := yaml.Unmarshal(document, &o.Object); err != nil {
		return fmt.Errorf("reading a document: %w", err)
	}
	resource, known := resources[o.GetKind()]
	if !known {
		return fmt.Errorf("%s %s: no set holds such a kind", o.GetKind(), o.GetName())
	}
	namespace := o.GetNamespace()
	if namespace == "" {
		namespace = "default"
	}
	if err := ensureNamespace(t.Context(), namespace); err != nil {
		return err
	}
	_, err := dynamic.NewForConfigOrDie(cluster.config).Resource(resource).Namespace(namespace).
		Patch(t.Context(), o.GetName(), types.ApplyPatchType, document, metav1.PatchOptions{
			DryRun: []string{metav1.DryRunAll}, FieldManager: kubernetes.FieldManager, Force: new(true),
			FieldValidation: metav1.FieldValidationStrict,
		})
	if err != nil {
		return fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}
