package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
)

var updateGolden = flag.Bool("update", false, "write the reference page anew")

// TestReferenceGolden holds the reference pages to the definitions; with -update it writes the pages.
func TestReferenceGolden(t *testing.T) { eachKind(t, referenceGolden) }

func referenceGolden(t *testing.T, kind *kind) {
	referenceFile := "../../docs/reference/" + kind.page
	want := reference(readDefinition(t, kind), kind.head)
	if *updateGolden {
		if err := os.WriteFile(referenceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date; write it anew: go test ./test/api -run Golden -update", referenceFile)
	}
}

const stackHead = `# MockupStack

` + "`mockup.dev/v1alpha1`" + `, namespaced; short names ` + "`stack`, `stacks`" + `.

This page is generated from the custom resource definition, as is what ` + "`kubectl explain mockupstack.spec`" + ` prints.
What stands under *Rules* is checked by the API server: ` + "`kubectl apply`" + ` refuses anything else at once.
Examples are in config/samples.
`

// section is an object of the definition with all the paths where it stands.
type section struct {
	paths  []string
	schema *apiextensions.JSONSchemaProps
}

func reference(crd *apiextensions.CustomResourceDefinition, head string) []byte {
	var page bytes.Buffer
	page.WriteString(head)
	for _, s := range sections(rootSchema(crd)) {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n", code(s.paths...), s.schema.Description)
		page.WriteString("| field | type | meaning |\n|---|---|---|\n")
		for _, name := range order(s.schema) {
			p := s.schema.Properties[name]
			fmt.Fprintf(&page, "| `%s`%s | %s | %s |\n", name, required(s.schema, name), typeOf(p), cell(p.Description+bounds(p)))
		}
		page.WriteString(rulesOf(s.schema))
	}
	return page.Bytes()
}

// sections are the objects in the order of their fields, equal ones once.
func sections(root *apiextensions.JSONSchemaProps) (found []section) {
	seen := map[string]int{}
	var visit func(path string, s *apiextensions.JSONSchemaProps)
	visit = func(path string, s *apiextensions.JSONSchemaProps) {
		if s.Items != nil {
			visit(path+"[]", s.Items.Schema)
			return
		}
		if len(s.Properties) == 0 {
			return
		}
		key, err := json.Marshal(s.Properties)
		if err != nil {
			panic(err)
		}
		if i, ok := seen[string(key)]; ok {
			found[i].paths = append(found[i].paths, path)
			return
		}
		seen[string(key)] = len(found)
		found = append(found, section{paths: []string{path}, schema: s})
		for _, name := range order(s) {
			p := s.Properties[name]
			visit(path+"."+name, &p)
		}
	}
	for _, name := range []string{"spec", "status"} {
		p := root.Properties[name]
		visit(name, &p)
	}
	return found
}

// order of fields: required ones first, then by name.
func order(s *apiextensions.JSONSchemaProps) (names []string) {
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if ra, rb := slices.Contains(s.Required, a), slices.Contains(s.Required, b); ra != rb {
			if ra {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return names
}

func required(s *apiextensions.JSONSchemaProps, name string) string {
	if slices.Contains(s.Required, name) {
		return " (required)"
	}
	return ""
}

func typeOf(s apiextensions.JSONSchemaProps) string {
	switch {
	case s.XIntOrString && s.Pattern == "":
		return "number or percentage"
	case s.XIntOrString:
		return "quantity"
	case s.Items != nil:
		return "list of " + typeOf(*s.Items.Schema)
	}
	return s.Type
}

// bounds that the schema itself sets, in words.
func bounds(s apiextensions.JSONSchemaProps) (text string) {
	if s.Minimum != nil && s.Maximum != nil {
		text += fmt.Sprintf(" From %.0f to %.0f.", *s.Minimum, *s.Maximum)
	}
	if s.MaxItems != nil {
		text += fmt.Sprintf(" At most %d.", *s.MaxItems)
	}
	if s.MaxLength != nil {
		text += fmt.Sprintf(" At most %d characters.", *s.MaxLength)
	}
	return text
}

// rulesOf lists the CEL rules of an object, of its fields, and of the elements of its lists.
func rulesOf(s *apiextensions.JSONSchemaProps) string {
	var list strings.Builder
	add := func(path string, s *apiextensions.JSONSchemaProps) {
		for _, rule := range s.XValidations {
			fmt.Fprintf(&list, "- %s%s\n", subject(path+rule.FieldPath), rule.Message)
		}
	}
	add("", s)
	for _, name := range order(s) {
		p := s.Properties[name]
		if len(p.Properties) == 0 {
			add(name, &p)
		}
		if p.Items != nil && len(p.Items.Schema.Properties) == 0 {
			add(name+"[]", p.Items.Schema)
		}
	}
	if list.Len() == 0 {
		return ""
	}
	return "\nRules:\n\n" + list.String()
}

func subject(path string) string {
	if path = strings.TrimPrefix(path, "."); path == "" {
		return ""
	}
	return "`" + path + "`: "
}

func code(words ...string) string { return "`" + strings.Join(words, "`, `") + "`" }

func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
