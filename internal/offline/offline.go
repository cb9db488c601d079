// Package offline checks custom resources without an API server, by the very code that the server runs: schema, unknown
// fields, defaults, list types and CEL rules.
package offline

import (
	"context"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Validator checks resources of the kinds that it was made for.
type Validator struct {
	kinds map[schema.GroupVersionKind]*kind
}

type kind struct {
	structural *structuralschema.Structural
	namespaced bool
	strategy   interface {
		Validate(ctx context.Context, obj runtime.Object) field.ErrorList
	}
}

// New makes a validator of what crds define. It compiles their CEL rules, which takes some hundred milliseconds.
func New(crds []*apiextensionsv1.CustomResourceDefinition) (*Validator, error) {
	v := &Validator{kinds: map[schema.GroupVersionKind]*kind{}}
	for _, crd := range crds {
		internal := &apiextensions.CustomResourceDefinition{}
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, internal, nil); err != nil {
			return nil, fmt.Errorf("reading CRD %s: %w", crd.Name, err)
		}
		for _, version := range crd.Spec.Versions {
			gvk := schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
			k, err := newKind(internal, gvk)
			if err != nil {
				return nil, fmt.Errorf("reading the schema of %s: %w", gvk, err)
			}
			v.kinds[gvk] = k
		}
	}
	return v, nil
}

func newKind(crd *apiextensions.CustomResourceDefinition, gvk schema.GroupVersionKind) (*kind, error) {
	props, err := apiextensions.GetSchemaForVersion(crd, gvk.Version)
	if err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(props.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(props.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	namespaced := crd.Spec.Scope == apiextensions.NamespaceScoped
	strategy := customresource.NewStrategy(nil, namespaced, gvk, validator, nil, structural, nil, nil, nil)
	return &kind{structural: structural, namespaced: namespaced, strategy: strategy}, nil
}

// Knows tells whether resources of this kind can be checked.
func (v *Validator) Knows(gvk schema.GroupVersionKind) bool { return v.kinds[gvk] != nil }

// Check fills in the defaults of o and returns what the API server would refuse it for, unknown fields included, as with
// `kubectl apply`. An o without namespace is put into the default one.
func (v *Validator) Check(ctx context.Context, o *unstructured.Unstructured) field.ErrorList {
	k := v.kinds[o.GroupVersionKind()]
	if k == nil {
		return field.ErrorList{field.NotSupported(field.NewPath("kind"), o.GroupVersionKind().String(), v.names())}
	}
	if k.namespaced && o.GetNamespace() == "" {
		o.SetNamespace(metav1.NamespaceDefault)
	}
	var errs field.ErrorList
	unknown := pruning.PruneWithOptions(o.Object, k.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		errs = append(errs, field.Forbidden(field.NewPath(path), "unknown field"))
	}
	defaulting.Default(o.Object, k.structural)
	return append(errs, k.strategy.Validate(ctx, o)...)
}

func (v *Validator) names() []string {
	var names []string
	for gvk := range v.kinds {
		names = append(names, gvk.String())
	}
	return names
}
