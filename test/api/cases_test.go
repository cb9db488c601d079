package api_test

import (
	"slices"
	"testing"
)

// kind is a kind of resource with all that is tried out on it.
type kind struct {
	name     string // of the tests about it
	resource string
	// base is the object that every case changes.
	base string
	// cases are those of CEL rules, lists those of lists that are empty or name something twice.
	cases, lists func() []refusal
	// company is what a field needs beside it to be accepted at its bounds.
	company func(field string) []string
	// oneByRule tells the fields whose bounds a CEL rule narrows.
	oneByRule func(path string) bool
	// head of the reference page.
	page, head string
}

var kinds = []*kind{stacks, addons, policies}

var stacks = &kind{
	name: "stack", resource: "mockupstacks", base: stackBase,
	cases: func() []refusal {
		return slices.Concat(
			nameCases(), networkCases(), addressCases(), gatewayCases(), routeCases(),
			volumeCases(), mountCases(), serviceCases(), rolloutCases(), environmentCases(), probeCases(), resourceCases(),
		)
	},
	lists: listCases, company: stackCompany, oneByRule: isOneByRule, page: "mockupstack.md", head: stackHead,
}

// refusal is a rule as a user meets it: what is refused, beside the nearest thing that is accepted.
type refusal struct {
	name string
	// from is the stored object that is updated; nil stands for one that is created.
	from edits
	// accepted and refused are applied to the base.
	accepted, refused edits
	// field and reason are those of the one cause that the API server gives: the whole field and a part of the message.
	field, reason string
}

// eachKind runs a test for every kind of resource.
func eachKind(t *testing.T, test func(t *testing.T, k *kind)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, k) })
	}
}

// one is an edit list of one edit.
func one(path, value string) edits { return edits{path + "=" + value} }

// values is a case in which one field has an accepted and a refused value.
func values(name, path, accepted, refused, reason string) refusal {
	return refusal{name: name, accepted: one(path, accepted), refused: one(path, refused), field: path, reason: reason}
}
