package offline_test

import (
	"strings"
	"testing"

	"mockup.dev/mockup/config/crd"
	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/internal/offline"
)

const good = `
apiVersion: mockup.dev/v1alpha1
kind: MockupStack
metadata: {name: shop}
spec:
  networks: [{name: public, subnet: 10.1.0.0/24}]
  services: [{name: web, image: "localhost/web:1", port: 8080, networks: [{name: public}]}]
`

func TestCheck(t *testing.T) {
	crds, err := crd.Objects()
	if err != nil {
		t.Fatal(err)
	}
	validator, err := offline.New(crds)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		from, to string
		want     string // part of the errors; empty for none
	}{
		"as it is":          {"", "", ""},
		"schema: type":      {"port: 8080", `port: "8080"`, "spec.services[0].port"},
		"schema: required":  {"port: 8080, ", "", "spec.services[0].port"},
		"list map: twice":   {"networks: [{name: public, subnet: 10.1.0.0/24}]", "networks: [{name: public, subnet: 10.1.0.0/24}, {name: public, subnet: 10.2.0.0/24}]", "Duplicate value"},
		"CEL: no such":      {"networks: [{name: public}]}]", "networks: [{name: other}]}]", "is not one of spec.networks"},
		"CEL: on metadata":  {"{name: shop}", "{name: cafe}", "digits 0-9 and a-f alone"},
		"unknown field":     {"port: 8080", "port: 8080, prot: 1", "unknown field"},
		"name of an object": {"{name: shop}", "{name: Shop_1}", "metadata.name"},
		"unknown version":   {"v1alpha1", "v9", "kind"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, c.from, c.to, 1)
			found, err := documents.Read([]string{"-"}, strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			errs := validator.Check(t.Context(), found[0].Unstructured)
			if got := errs.ToAggregate(); c.want == "" && got != nil || c.want != "" && (got == nil || !strings.Contains(got.Error(), c.want)) {
				t.Errorf("got %v, want %q", got, c.want)
			}
		})
	}
}
