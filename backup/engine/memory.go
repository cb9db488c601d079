package engine

import (
	"os"
	"runtime/debug"
)

// memoryTarget is what the collector of garbage keeps to where nobody says otherwise. It is no limit: what is needed is had.
const memoryTarget = 200 << 20

// LimitMemory lets the process have little garbage: of big files, else as much again as what is needed is there for some time.
// GOMEMLIMIT in the environment goes before.
func LimitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryTarget)
	}
}
