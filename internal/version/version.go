// Package version tells which build this is.
package version

import "runtime"

// Version of the program, set by the linker.
var Version = "dev"

// Info is what `version` prints.
type Info struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Get describes the running program.
func Get() Info {
	return Info{Version: Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
}
