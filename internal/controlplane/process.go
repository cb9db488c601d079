package controlplane

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/klog/v2"
)

const (
	// settleTime is how long after ready the work of starting goes on: informers fill, OpenAPI is merged.
	settleTime = 5 * time.Second
	// gcPercent is by how many percent garbage may outgrow live memory. An idle control plane hardly allocates, so a
	// collection is rare in any case; what the default of 100 costs is memory.
	gcPercent = 30
)

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

// saveMemory gives back what only the start needed: garbage on the heap and, of the program itself, the pages of code
// that ran once. Together that is half of the resident memory. What is used again is paged in again from the page cache.
func saveMemory() error {
	debug.SetGCPercent(gcPercent)
	debug.FreeOSMemory()
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the program file: %w", err)
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("reading memory maps: %w", err)
	}
	defer maps.Close()
	for _, m := range readOnlyMappings(maps, executable) {
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, m.start, m.end-m.start, syscall.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("giving back pages of the program: %w", errno)
		}
	}
	return nil
}

type mapping struct{ start, end uintptr }

// readOnlyMappings finds in smaps (format: proc(5)) the parts of file that are mapped without leave to write and hold no
// page of their own. Relocated data, as position-independent programs have it, is such, and would be lost.
func readOnlyMappings(smaps io.Reader, file string) []mapping {
	var found []mapping
	var m mapping
	candidate := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		if start, end, ok := strings.Cut(fields[0], "-"); ok { // the head of a mapping; its other lines have no dash
			candidate = len(fields) == 6 && fields[5] == file && !strings.Contains(fields[1], "w")
			m = mapping{start: address(start), end: address(end)}
		}
		if candidate && fields[0] == "Anonymous:" && fields[1] == "0" {
			found = append(found, m)
		}
	}
	return found
}

// address is a hexadecimal number, 0 if it is none.
func address(s string) uintptr {
	n, err := strconv.ParseUint(s, 16, strconv.IntSize)
	if err != nil {
		return 0
	}
	return uintptr(n)
}
