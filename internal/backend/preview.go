package backend

import (
	"context"
	"time"

	"mockup.dev/mockup/manifests"
)

// Previewer is a backend that can tell beforehand what Apply would come to.
type Previewer interface {
	// Preview lists what applying set until it is settled would do, in the order of the set, and what it refuses. It
	// changes nothing. Objects that stay as they are are not listed.
	Preview(ctx context.Context, set manifests.Set) (Forecast, error)
}

// Forecast of an Apply.
type Forecast struct {
	Changes []Change
	Refused []Refusal
}

// Verb of a change.
type Verb string

// The verbs.
const (
	// Create something that is not there.
	Create Verb = "create"
	// Update in place, without a new pod.
	Update Verb = "update"
	// Replace the pods.
	Replace Verb = "replace"
	// Remove what is no longer wanted.
	Remove Verb = "remove"
	// Retain what is no longer wanted but holds data.
	Retain Verb = "retain"
)

// Change that an Apply would make to one object.
type Change struct {
	Ref  manifests.Ref
	Verb Verb
	// Detail says what and how, e.g. "2 of 2 pods, one at a time".
	Detail string
	// Interruption is how long the object's clients are expected to go unserved; zero for not at all.
	Interruption time.Duration
	// Cause of the interruption, e.g. "host port 8443: two pods can't hold it"; empty without one.
	Cause string
}
