package api_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// stored is the object that a case updates, or nil.
func (k *kind) stored(r refusal) *unstructured.Unstructured {
	if r.from == nil {
		return nil
	}
	return k.object(r.from)
}

// TestCasesInProcess tells fast, without a server, whether each case is decided as it says.
func TestCasesInProcess(t *testing.T) { eachKind(t, casesInProcess) }

func casesInProcess(t *testing.T, kind *kind) {
	j, err := newJudge(readDefinition(t, kind))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range kind.cases() {
		t.Run(c.name, func(t *testing.T) {
			if errs := j.refuse(kind.object(c.accepted), kind.stored(c)); len(errs) > 0 {
				t.Errorf("the neighbour is refused: %v", errs.ToAggregate())
			}
			errs := j.refuse(kind.object(c.refused), kind.stored(c))
			if len(errs) != 1 {
				t.Fatalf("%d causes, want 1: %v", len(errs), errs.ToAggregate())
			}
			if errs[0].Field != c.field || !strings.Contains(errs[0].ErrorBody(), c.reason) {
				t.Errorf("got  %s\nwant %s: …%s…", errs[0], c.field, c.reason)
			}
		})
	}
}

// TestEveryRuleHasItsCase takes each CEL rule out of the definition in turn: that must turn at least one case red, and each
// case must hang on exactly one rule.
func TestEveryRuleHasItsCase(t *testing.T) { eachKind(t, everyRuleHasItsCase) }

func everyRuleHasItsCase(t *testing.T, kind *kind) {
	cases := kind.cases()
	deciding := map[string][]string{} // rules by case
	crd := readDefinition(t, kind)
	rules := ruleNames(crd)
	for _, rule := range rules {
		j, err := newJudge(without(crd.DeepCopy(), rule))
		if err != nil {
			t.Fatal(err)
		}
		red := 0
		for _, c := range cases {
			if !concerns(rule, c.field) || len(j.refuse(kind.object(c.refused), kind.stored(c))) > 0 {
				continue
			}
			red++
			deciding[c.name] = append(deciding[c.name], rule)
		}
		if red == 0 {
			t.Errorf("no case turns red without the rule %s", rule)
		}
	}
	for _, c := range cases {
		if len(deciding[c.name]) != 1 {
			t.Errorf("case %q hangs on %d rules, want 1: %q", c.name, len(deciding[c.name]), deciding[c.name])
		}
	}
	t.Logf("%d rules, %d cases", len(rules), len(cases))
}

var index = regexp.MustCompile(`\[\d+\]`)

// concerns tells whether a rule could give a cause with that field: it stands on the field or above. It spares the others,
// since TestCasesInProcess has seen that each case has one cause only.
func concerns(rule, field string) bool {
	path, _, _ := strings.Cut(rule, ": ")
	return strings.HasPrefix(index.ReplaceAllString(field, "[]"), path)
}

// ruleName tells rules apart, also those of one field.
func ruleName(path string, rule apiextensions.ValidationRule) string {
	return fmt.Sprintf("%s: %s", path, rule.Rule)
}

func ruleNames(crd *apiextensions.CustomResourceDefinition) (names []string) {
	walk(rootSchema(crd), "", func(path string, s *apiextensions.JSONSchemaProps) {
		for _, rule := range s.XValidations {
			names = append(names, ruleName(path, rule))
		}
	})
	return names
}

// without is crd without the rule of that name.
func without(crd *apiextensions.CustomResourceDefinition, name string) *apiextensions.CustomResourceDefinition {
	walk(rootSchema(crd), "", func(path string, s *apiextensions.JSONSchemaProps) {
		var kept apiextensions.ValidationRules
		for _, rule := range s.XValidations {
			if ruleName(path, rule) != name {
				kept = append(kept, rule)
			}
		}
		s.XValidations = kept
	})
	return crd
}
