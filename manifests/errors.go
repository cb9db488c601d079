package manifests

import (
	"fmt"
	"strings"
)

// InvalidError is a field of a resource that can't be rendered. Where there are several, they come joined, and
// errors.As finds the first.
type InvalidError struct {
	// Field is its path, e.g. spec.services[0].networks[1].ip.
	Field string
	// Value as written; empty where the value is absent or not the point.
	Value string
	// Reason is a sentence without an end mark.
	Reason string
}

func (e *InvalidError) Error() string {
	if e.Value == "" {
		return e.Field + ": " + e.Reason
	}
	return fmt.Sprintf("%s: %q %s", e.Field, e.Value, e.Reason)
}

// MissingError lists every Secret and ConfigMap, or key in one, that a resource refers to and that was not among the
// facts.
type MissingError struct {
	// References that were not found; their Keys are those that are missing, none if it is the whole object.
	References []Reference
}

func (e *MissingError) Error() string {
	var missing []string
	for _, r := range e.References {
		missing = append(missing, r.String())
	}
	return "not found: " + strings.Join(missing, "; ")
}
