package api_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// readDefinition reads the generated definition of a kind as the API server holds it.
func readDefinition(t testing.TB, kind *kind) *apiextensions.CustomResourceDefinition {
	t.Helper()
	data, err := os.ReadFile("../../config/crd/bases/mockup.dev_" + kind.resource + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var v1 apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(data, &v1); err != nil {
		t.Fatal(err)
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinition(&v1)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&v1.Spec)
	v1.Status.StoredVersions = []string{"v1alpha1"}
	crd := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&v1, crd, nil); err != nil {
		t.Fatal(err)
	}
	return crd
}

func TestDefinitionIsValid(t *testing.T) {
	eachKind(t, func(t *testing.T, kind *kind) {
		for _, err := range validation.ValidateCustomResourceDefinition(context.Background(), readDefinition(t, kind)) {
			t.Error(err)
		}
	})
}

// TestEveryFieldIsExplained keeps `kubectl explain` useful.
func TestEveryFieldIsExplained(t *testing.T) {
	eachKind(t, func(t *testing.T, kind *kind) {
		walk(rootSchema(readDefinition(t, kind)), "", func(path string, s *apiextensions.JSONSchemaProps) {
			if s.Description == "" && path != "metadata" && !strings.HasSuffix(path, "[]") {
				t.Errorf("%s has no description", path)
			}
		})
	})
}

func rootSchema(crd *apiextensions.CustomResourceDefinition) *apiextensions.JSONSchemaProps {
	return crd.Spec.Validation.OpenAPIV3Schema
}

// walk visits a schema and all below it. The elements of a list have the list's path with [] behind it.
func walk(s *apiextensions.JSONSchemaProps, path string, visit func(path string, s *apiextensions.JSONSchemaProps)) {
	visit(path, s)
	if s.Items != nil {
		walk(s.Items.Schema, path+"[]", visit)
	}
	for name, p := range s.Properties {
		walk(&p, strings.TrimPrefix(path+"."+name, "."), visit)
		s.Properties[name] = p
	}
}

// judge decides in this process what the API server would, for a definition that it may never have seen.
type judge struct {
	structural *schema.Structural
	schema     schemavalidation.SchemaValidator
	rules      *cel.Validator
}

func newJudge(crd *apiextensions.CustomResourceDefinition) (*judge, error) {
	structural, err := schema.NewStructural(rootSchema(crd))
	if err != nil {
		return nil, fmt.Errorf("making the schema structural: %w", err)
	}
	validator, _, err := schemavalidation.NewSchemaValidator(rootSchema(crd))
	if err != nil {
		return nil, fmt.Errorf("making the schema's validator: %w", err)
	}
	return &judge{structural: structural, schema: validator, rules: cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

// refuse says what is wrong with u, as a new object or, where old is given, as an update of old.
func (j *judge) refuse(u, old *unstructured.Unstructured) field.ErrorList {
	u = u.DeepCopy()
	defaulting.Default(u.Object, j.structural)
	errs := schemavalidation.ValidateCustomResource(nil, u.Object, j.schema)
	listErrs := listtype.ValidateListSetsAndMaps(nil, j.structural, u.Object)
	errs = append(errs, listErrs...)
	var oldContent any
	if old != nil {
		old = old.DeepCopy()
		defaulting.Default(old.Object, j.structural)
		oldContent = old.Object
	}
	ruleErrs, _ := j.rules.Validate(context.Background(), nil, j.structural, u.Object, oldContent, celconfig.RuntimeCELCostBudget)
	return append(errs, ruleErrs...)
}
