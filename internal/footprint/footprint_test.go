package footprint

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

const smaps = `00400000-01000000 r-xp 00000000 fe:00 1 /bin/mockup
Private_Dirty:         0 kB
01000000-02000000 r--p 00c00000 fe:00 1 /bin/mockup
Private_Dirty:         4 kB
02000000-02100000 rw-p 01c00000 fe:00 1 /bin/mockup
Private_Dirty:         0 kB
03000000-04000000 r-xp 00000000 fe:00 2 /lib/other.so
Private_Dirty:         0 kB
c000000000-c000400000 rw-p 00000000 00:00 0
Private_Dirty:         0 kB
`

func TestDisposable(t *testing.T) {
	got := disposable(strings.NewReader(smaps), "/bin/mockup")
	if len(got) != 1 || got[0] != (mapping{0x400000, 0x1000000}) {
		t.Errorf("got %x, want only the code: the others are written to, hold pages of our own, or are not ours", got)
	}
}

// TestRelease runs on, which it could not if a page had been lost.
func TestRelease(t *testing.T) {
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Repeat("a", 3); got != "aaa" {
		t.Errorf("got %q", got)
	}
}

func TestNextCollection(t *testing.T) {
	collected := nextCollection()
	select {
	case <-collected:
		t.Fatal("told before there was one")
	default:
	}
	runtime.GC()
	select {
	case <-collected:
	case <-time.After(10 * time.Second):
		t.Fatal("not told")
	}
}
