// Package backend is the seam between what is wanted and where it runs. Every implementation passes the contract of
// package backendtest.
package backend

import (
	"context"
	"io"
	"net"

	"mockup.dev/mockup/manifests"
)

// Backend runs sets of manifests.
type Backend interface {
	// Apply makes set the whole truth for its owner, one non-blocking step towards it at a time: what it names is
	// created or changed, what it no longer names is removed (retained volumes excepted), and every object still live
	// is reported. It is safe to repeat, and an unchanged set is only observed. It never waits for pods, drains or
	// pulls: they re-enter through Changes. Removal is said (Set.Remove), never implied: an empty set is an error.
	//
	// An error means that the backend could not be asked or told; what it refuses or can't run is in the Observation.
	Apply(ctx context.Context, set manifests.Set) (Observation, error)
	// Changes reports owners whose objects may have changed; after a reconnect, every owner. It may repeat, must not
	// miss. The channel is closed when ctx ends.
	Changes(ctx context.Context) <-chan manifests.Owner
	// Pods looks inside what runs, and never changes what is wanted.
	Pods() Pods
}

// Pods looks inside running pods.
type Pods interface {
	// Logs of a container, in the order written. The reader ends at the end of the log, or with ctx when following.
	Logs(ctx context.Context, pod PodRef, o LogOptions) (io.ReadCloser, error)
	// Exec runs a command in a container and returns its exit code.
	Exec(ctx context.Context, pod PodRef, e ExecRequest) (exit int, err error)
	// Dial connects to a TCP port inside the pod's network namespace.
	Dial(ctx context.Context, pod PodRef, port int) (net.Conn, error)
}

// PodRef names a pod of an owner, as State.Pods does.
type PodRef struct {
	Owner manifests.Owner
	Pod   string
}

// LogOptions select what Logs returns.
type LogOptions struct {
	// Container as named in the manifest; empty for the first.
	Container string
	Follow    bool
	// Tail is the number of last lines; 0 for all.
	Tail int
	// Timestamps puts an RFC 3339 time before each line.
	Timestamps bool
}

// ExecRequest is a command for Exec.
type ExecRequest struct {
	// Container as named in the manifest; empty for the first.
	Container string
	Command   []string
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
}
