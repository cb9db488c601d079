package node

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rotated is a container's log whose first file ended with some records when the next began with others.
func rotated(t testing.TB, size int, end, begin string) (containerLog, func() (string, string)) {
	t.Helper()
	l := containerLog{source: filepath.Join(t.TempDir(), "ctr.log"), folder: filepath.Join(t.TempDir(), "web")}
	filling := strings.Repeat("0 stdout F x\n", size/13)
	must(t, os.WriteFile(l.source, []byte(filling+end), 0o600))
	must(t, l.follow(time.Now()))
	must(t, os.WriteFile(l.source+".tmp", []byte(begin), 0o600))
	must(t, os.Rename(l.source+".tmp", l.source))
	return l, func() (string, string) {
		t.Helper()
		files, err := l.files()
		must(t, err)
		if len(files.rotated) != 1 {
			t.Fatalf("the files are %+v", files)
		}
		full, err := os.ReadFile(l.file(files.rotated[0]))
		must(t, err)
		next, err := os.ReadFile(l.file(files.current))
		must(t, err)
		after, found := bytes.CutPrefix(full, []byte(filling))
		if !found {
			t.Fatal("the file does not begin as it did")
		}
		return string(after), string(next)
	}
}

// nearlyFull is the size of a file that is full with a few records more.
const nearlyFull = MaxLogSize - 1000

// A line that is in two files is whole in the first.
func TestLogsFinishLines(t *testing.T) {
	for name, c := range map[string]struct {
		size             int
		end, begin, want string
	}{
		"rest":           {nearlyFull, "1 stdout P a\n", "2 stdout F b\n3 stdout F c\n", "2 stdout F b\n"},
		"rest in parts":  {nearlyFull, "1 stdout P a\n", "2 stdout P b\n3 stdout F c\n4 stdout F d\n", "2 stdout P b\n3 stdout F c\n"},
		"end alone":      {nearlyFull, "1 stdout P a\n", "2 stdout F \n3 stdout F c\n", "2 stdout F \n"},
		"another stream": {nearlyFull, "1 stdout P a\n2 stderr F e\n", "3 stderr F f\n4 stdout F b\n", "4 stdout F b\n"},
		"two streams":    {nearlyFull, "1 stderr P e\n2 stdout P a\n", "3 stderr F f\n4 stdout F b\n", "4 stdout F b\n3 stderr F f\n"},
		"whole line":     {nearlyFull, "1 stdout P a\n2 stdout F b\n", "3 stdout F c\n", ""},
		"replaced":       {MaxLogSize / 2, "1 stdout P a\n", "2 stdout F b\n", ""},
		"no records":     {nearlyFull, "a\nb c\n", "d\ne f\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, files := rotated(t, c.size, c.end, c.begin)
			must(t, l.follow(time.Now()))
			if full, next := files(); full != c.end+c.want || next != c.begin {
				t.Errorf("the files end and begin with %q and %q, want %q and %q", full, next, c.end+c.want, c.begin)
			}
		})
	}
}

// What is not written yet is waited for, and the logs of others don't wait long.
func TestLogsAwaitTheRestOfALine(t *testing.T) {
	const end, begin, rest = "1 stdout P a\n", "2 stderr F e\n", "3 stdout F b\n"
	for name, c := range map[string]struct {
		parts []string
		want  string
	}{
		"in time": {[]string{rest[:5], rest[5:]}, end + rest},
		"never":   {nil, end},
		"torn":    {[]string{rest[:len(rest)-1]}, end},
	} {
		t.Run(name, func(t *testing.T) {
			l, files := rotated(t, nearlyFull, end, begin)
			file, err := os.OpenFile(l.source, os.O_WRONLY|os.O_APPEND, 0)
			must(t, err)
			defer file.Close()
			began := time.Now()
			done := make(chan error)
			go func() { done <- l.follow(time.Now()) }()
			for _, part := range c.parts {
				time.Sleep(restPatience / 5) // the container takes its time
				_, err := file.WriteString(part)
				must(t, err)
			}
			must(t, <-done)
			if full, _ := files(); full != c.want {
				t.Errorf("the file ends with %q, want %q", full, c.want)
			}
			if took := time.Since(began); took > restPatience+second {
				t.Errorf("others wait for %s", took)
			}
		})
	}
}

// An agent that was killed over it goes on where it was, wherever that is.
func TestLogsFinishLinesOnce(t *testing.T) {
	const end, begin, rest = "1 stderr P e\n2 stdout P a\n", "3 stdout P b\n4 stderr F f\n5 stdout F c\n6 stdout F d\n", "3 stdout P b\n5 stdout F c\n4 stderr F f\n"
	for n := range len(rest) + 1 {
		l, files := rotated(t, nearlyFull, end+rest[:n], begin)
		must(t, os.Link(l.source, l.file(nextLog)))
		must(t, l.follow(time.Now()))
		if full, next := files(); full != end+rest || next != begin {
			t.Fatalf("killed after %d bytes, the files end and begin with %q and %q, want %q and %q", n, full, next, end+rest, begin)
		}
	}
}
