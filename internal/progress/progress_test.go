package progress

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestStepsOfAPlainList(t *testing.T) {
	var out strings.Builder
	l := New(&out)
	clock := time.Unix(0, 0)
	l.now = func() time.Time { clock = clock.Add(1234 * time.Millisecond); return clock }
	if err := l.Step("first", func(say func(string)) (string, error) {
		say("a")
		say("a")
		say("b")
		return "first is done", nil
	}); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no")
	if err := l.Step("second", func(func(string)) (string, error) { return "", failure }); !errors.Is(err, failure) {
		t.Errorf("the error became %v", err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	want := []string{"   first: a", "   first: b", " ✓ first is done", " ✗ second"}
	if len(lines) != len(want) {
		t.Fatalf("got %d lines:\n%s", len(lines), out.String())
	}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], w) {
			t.Errorf("line %d is %q, want %q", i, lines[i], w)
		}
	}
	if !strings.HasSuffix(lines[2], "   1.2 s") {
		t.Errorf("no time in %q", lines[2])
	}
	if done := l.Done(); len(done) != 1 || done[0] != (Done{"first is done", 1.234}) {
		t.Errorf("done: %+v", done)
	}
}

func TestLiveLineIsClearedAndCut(t *testing.T) {
	var out strings.Builder
	l := New(&out)
	l.width = 20
	if err := l.Step("a name that is longer than the terminal", func(func(string)) (string, error) { return "short", nil }); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(out.String(), "\r\x1b[K")
	if len(parts) < 3 || len([]rune(parts[1])) >= 20 || !strings.HasPrefix(parts[len(parts)-1], " ✓ short") {
		t.Errorf("got %q", parts)
	}
}
