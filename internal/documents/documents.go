// Package documents reads the YAML and JSON files that a user names.
package documents

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Document is one object of a file.
type Document struct {
	*unstructured.Unstructured
	// Source is the file and the number of the document in it, for messages.
	Source string
}

// Read reads every object of the files, in their order. The name "-" is in. Lists come as their items.
func Read(files []string, in io.Reader) ([]Document, error) {
	var all []Document
	for _, file := range files {
		content, err := readFile(file, in)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		found, err := parse(file, content)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func readFile(file string, in io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(file)
}

func parse(file string, content []byte) ([]Document, error) {
	var found []Document
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for n := 1; ; n++ {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		source := fmt.Sprintf("%s, document %d", file, n)
		objects, err := decode(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		for _, o := range objects {
			found = append(found, Document{o, source})
		}
	}
}

// decode is strict about keys that are there twice: YAML forbids them and one of both would be lost.
func decode(text []byte) ([]*unstructured.Unstructured, error) {
	var fields map[string]any
	if err := yaml.UnmarshalStrict(text, &fields); err != nil {
		return nil, err
	}
	if len(fields) == 0 { // comments only
		return nil, nil
	}
	// Through JSON once more, so that numbers have the types that the API machinery expects.
	content, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(content); err != nil {
		return nil, err
	}
	if !o.IsList() {
		return []*unstructured.Unstructured{o}, nil
	}
	list, err := o.ToList()
	if err != nil {
		return nil, err
	}
	var items []*unstructured.Unstructured
	for i := range list.Items {
		items = append(items, &list.Items[i])
	}
	return items, nil
}
