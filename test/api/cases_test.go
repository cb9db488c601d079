package api_test

import "slices"

// refusal is a rule as a user meets it: what is refused, beside the nearest thing that is accepted.
type refusal struct {
	name string
	// from is the stored stack that is updated; nil stands for a stack that is created.
	from edits
	// accepted and refused are applied to the base.
	accepted, refused edits
	// field and reason are those of the one cause that the API server gives: the whole field and a part of the message.
	field, reason string
}

// refusals are all cases that are written by hand; bounds_test.go adds those that follow from the schema.
func refusals() []refusal {
	return slices.Concat(
		nameCases(), networkCases(), addressCases(), gatewayCases(), routeCases(),
		volumeCases(), mountCases(), serviceCases(), rolloutCases(), environmentCases(), probeCases(), resourceCases(),
	)
}

// one is an edit list of one edit.
func one(path, value string) edits { return edits{path + "=" + value} }

// values is a case in which one field has an accepted and a refused value.
func values(name, path, accepted, refused, reason string) refusal {
	return refusal{name: name, accepted: one(path, accepted), refused: one(path, refused), field: path, reason: reason}
}
