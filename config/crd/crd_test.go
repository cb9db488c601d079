package crd

import "testing"

func TestObjectsAreOurs(t *testing.T) {
	crds, err := Objects()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range crds {
		names[c.Name] = true
		if c.Spec.Group != "mockup.dev" {
			t.Errorf("CRD %s is of group %s", c.Name, c.Spec.Group)
		}
	}
	if !names["mockupstacks.mockup.dev"] {
		t.Errorf("no CRD mockupstacks.mockup.dev among %v", names)
	}
}
