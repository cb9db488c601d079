package controlplane

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime/debug"

	"k8s.io/klog/v2"

	"mockup.dev/mockup/internal/footprint"
)

// gcPercent is by how many percent garbage may outgrow live memory. An idle control plane hardly allocates, so a
// collection is rare in any case; what the default of 100 costs is memory.
const gcPercent = 30

// saveMemory keeps the process small until ctx ends.
func saveMemory(ctx context.Context) {
	debug.SetGCPercent(gcPercent)
	if err := footprint.Keep(ctx); err != nil {
		klog.ErrorS(err, "Memory was not trimmed; the control plane only takes more of it")
	}
}

// quietLogs keeps the chatter of the libraries, a hundred lines for every start, out of stderr. Errors stay.
func quietLogs() error {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "stderrthreshold": "ERROR"} {
		if err := flags.Set(name, value); err != nil {
			return fmt.Errorf("setting log option %s: %w", name, err)
		}
	}
	klog.SetOutput(io.Discard) // the files klog would write instead
	return nil
}
