package manifests

import (
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// PrintOptions say what the head of a printed set tells beside the set itself.
type PrintOptions struct {
	// File is the name under which the output is kept, for the command to play it; the default is stack.yaml.
	File string
	// Missing are the references that were not found.
	Missing []Reference
}

// Print writes set as YAML documents, the same bytes for the same set. Its head is a comment: how to play it without an
// operator, which Secrets and ConfigMaps it needs, and what is lost. These it refers to are not printed.
func Print(w io.Writer, set Set, o PrintOptions) error {
	var out strings.Builder
	for _, line := range head(set, o) {
		out.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	for _, object := range set.Objects {
		text, err := document(object)
		if err != nil {
			return fmt.Errorf("printing %s: %w", RefOf(object), err)
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// document is the YAML of one object, without what only a server writes.
func document(o Object) ([]byte, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	delete(fields, "status")
	withoutNull(fields)
	return yaml.Marshal(fields)
}

// withoutNull drops what the types print although it is unset, such as creationTimestamp.
func withoutNull(fields map[string]any) {
	for k, v := range fields {
		switch v := v.(type) {
		case nil:
			delete(fields, k)
		case map[string]any:
			withoutNull(v)
		}
	}
}
