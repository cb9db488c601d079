// Package version says which build of a service is running.
package version

import "runtime"

// Version and Revision are set by the linker
// (-X mockup.dev/mockup/workloads/internal/version.Version=v0.1.0).
var (
	Version  = "dev"
	Revision = "unknown"
)

// String is the line that `<service> version` prints after the service's name.
func String() string {
	return Version + " (" + Revision + ", " + runtime.Version() + ")"
}
