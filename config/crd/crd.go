// Package crd holds the CustomResourceDefinitions of this project, as generated from api/, for programs that apply them
// by themselves.
package crd

import (
	"embed"
	"fmt"
	"io/fs"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

//go:embed bases/*.yaml
var bases embed.FS

// Objects returns the CustomResourceDefinitions, in the order of their file names.
func Objects() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	folder, err := fs.Sub(bases, "bases")
	if err != nil {
		return nil, fmt.Errorf("opening CRDs: %w", err)
	}
	return Read(folder)
}

// Read returns the CustomResourceDefinitions in the *.yaml files of folder, one in each, in the order of their names.
func Read(folder fs.FS) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := fs.Glob(folder, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing CRDs: %w", err)
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, file := range files {
		content, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, fmt.Errorf("reading CRD: %w", err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(content, crd); err != nil {
			return nil, fmt.Errorf("decoding CRD %s: %w", file, err)
		}
		crds = append(crds, crd)
	}
	return crds, nil
}
