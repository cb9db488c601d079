// Package footprint keeps long-running programs small.
package footprint

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

const (
	// gcPercent is by how many percent garbage may outgrow live memory. A program that is idle most of the time
	// allocates little: collecting twice as often as by default costs nothing and halves what garbage takes.
	gcPercent = 40
	// softLimit makes the collector work harder before memory grows beyond it, in bytes. It is no hard limit.
	softLimit = 96 << 20
	// settleTime is how long after the start, or after a collection, memory is still needed.
	settleTime = 5 * time.Second
)

// Bound makes the garbage collector prefer memory to speed, for the whole process. Settings in the environment
// (GOGC, GOMEMLIMIT) go before ours.
func Bound() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softLimit)
	}
}

// Keep gives back what only the start needed once that is over: garbage on the heap and, of the program itself, the pages
// of code and constants that were used once. It goes on until ctx ends, since every collection of garbage, which an idle
// program has each two minutes, brings half of these pages back. What is used again is paged in again from the page cache.
func Keep(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(settleTime):
	}
	debug.FreeOSMemory()
	for {
		collected := nextCollection()
		if err := release(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-collected:
		}
		select { // a busy program collects all the time
		case <-ctx.Done():
			return nil
		case <-time.After(settleTime):
		}
	}
}

// nextCollection is closed when garbage has been collected, of which the value made here is part.
func nextCollection() <-chan struct{} {
	collected := make(chan struct{})
	garbage := new([64]byte) // large enough not to share its memory with something that lives
	runtime.AddCleanup(garbage, func(c chan struct{}) { close(c) }, collected)
	return collected
}

// release gives back the pages of the program's file.
func release() error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the program file: %w", err)
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("reading memory maps: %w", err)
	}
	defer maps.Close()
	for _, m := range disposable(maps, executable) {
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, m.start, m.end-m.start, syscall.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("giving back pages of the program: %w", errno)
		}
	}
	return nil
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// disposable finds in smaps (format: proc(5)) the parts of file that are mapped read-only and that hold no page of our
// own making: relocated data, as position-independent programs have, would be lost.
func disposable(smaps io.Reader, file string) []mapping {
	var found []mapping
	var m mapping
	ours := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		if n, _ := fmt.Sscanf(fields[0], "%x-%x", &m.start, &m.end); n == 2 {
			ours = len(fields) == 6 && fields[5] == file && !strings.Contains(fields[1], "w")
		}
		if ours && fields[0] == "Private_Dirty:" && fields[1] == "0" {
			found = append(found, m)
		}
	}
	return found
}
