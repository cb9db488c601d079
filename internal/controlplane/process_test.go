package controlplane

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// smapsSample has, in this order: code; data that was relocated and is now read-only; writable data; another file; a
// read-only part of the file; memory without a file.
const smapsSample = `00400000-00500000 r-xp 00000000 08:01 42      /opt/program
Rss:                 100 kB
Anonymous:             0 kB
00500000-00600000 r--p 00100000 08:01 42      /opt/program
Anonymous:            12 kB
00600000-00700000 rw-p 00200000 08:01 42      /opt/program
Anonymous:             0 kB
00700000-00800000 r-xp 00000000 08:01 43      /opt/library
Anonymous:             0 kB
00800000-00900000 r--p 00300000 08:01 42      /opt/program
Anonymous:             0 kB
00900000-00a00000 r--p 00000000 00:00 0
Anonymous:             0 kB
`

func TestReadOnlyMappings(t *testing.T) {
	got := readOnlyMappings(strings.NewReader(smapsSample), "/opt/program")
	want := []mapping{{0x400000, 0x500000}, {0x800000, 0x900000}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// TestSaveMemory runs it for real: this very test goes on running in the pages that were given back.
func TestSaveMemory(t *testing.T) {
	before := residentFile(t)
	if err := saveMemory(); err != nil {
		t.Fatal(err)
	}
	if after := residentFile(t); after >= before {
		t.Errorf("resident pages of files: %d kB before, %d kB after", before, after)
	}
}

// residentFile is RssFile of this process in kB.
func residentFile(t *testing.T) (kB int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "RssFile: %d kB", &kB); n == 1 {
			return kB
		}
	}
	t.Fatal("no RssFile")
	return 0
}
