package processes

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newFolder(t *testing.T) Folder {
	t.Helper()
	f := Folder{Run: t.TempDir(), Logs: t.TempDir()}
	t.Cleanup(func() {
		wanted, err := f.Wanted()
		if err != nil {
			t.Error(err)
		}
		for _, p := range wanted {
			if err := f.End(context.Background(), p.Name); err != nil {
				t.Error(err)
			}
		}
	})
	return f
}

func sleeper(name, seconds string) Process {
	return Process{Name: name, Path: "/bin/sleep", Args: []string{seconds}, Grace: 5 * time.Second}
}

func ensure(t *testing.T, f Folder, p Process, want Change) int {
	t.Helper()
	got, err := f.Ensure(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("%s: %s, want %s", p.Name, got, want)
	}
	pid := f.Running(p.Name)
	if pid == 0 {
		t.Fatalf("%s does not run", p.Name)
	}
	return pid
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func alive(pid int) bool {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')'):]))
	return fields[1] != "Z"
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// watch runs a watcher until the test ends or stop is called.
func watch(t *testing.T, f Folder, self string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Watch(ctx, self, slog.New(slog.NewTextHandler(io.Discard, nil))) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func TestEnsure(t *testing.T) {
	f := newFolder(t)
	p := sleeper("a", "1000")
	first := ensure(t, f, p, Started)
	if again := ensure(t, f, p, Unchanged); again != first {
		t.Errorf("it was started again: %d, %d", first, again)
	}
	p.Args = []string{"1001"}
	second := ensure(t, f, p, Restarted)
	if second == first || alive(first) {
		t.Errorf("other arguments did not replace %d by another process: %d", first, second)
	}
	input := filepath.Join(t.TempDir(), "input")
	for _, content := range []string{"1", "2"} {
		if err := os.WriteFile(input, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Inputs = []string{input}
		ensure(t, f, p, Restarted)
	}
	if err := f.End(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if f.Running("a") != 0 {
		t.Error("it runs on")
	}
	if err := f.End(t.Context(), "a"); err != nil {
		t.Errorf("ending it again: %v", err)
	}
}

func TestStaleFileDeceivesNoOne(t *testing.T) {
	f := newFolder(t)
	// The pid of a process that is alive, and not ours: the test itself.
	if err := os.WriteFile(f.PIDFile("a"), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if pid := f.Running("a"); pid != 0 {
		t.Fatalf("process %d was taken for a", pid)
	}
	ensure(t, f, sleeper("a", "1000"), Started)

	// The same name in another folder is another process.
	other := newFolder(t)
	if err := os.WriteFile(other.PIDFile("a"), []byte(strconv.Itoa(f.Running("a"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if pid := other.Running("a"); pid != 0 {
		t.Errorf("process %d of another folder was taken for ours", pid)
	}
}

func TestWatchStartsAgainWhatWasKilled(t *testing.T) {
	f := newFolder(t)
	first := ensure(t, f, sleeper("a", "1000"), Started)
	watch(t, f, "self")
	for range 2 {
		kill(t, first)
		eventually(t, "another a", func() bool { pid := f.Running("a"); return pid != 0 && pid != first })
		first = f.Running("a")
	}
}

func TestWatchAdoptsWhatRuns(t *testing.T) {
	f := newFolder(t)
	first := ensure(t, f, sleeper("a", "1000"), Started)
	watch(t, f, "self")() // one that ended
	watch(t, f, "self")
	later := ensure(t, f, sleeper("b", "1000"), Started) // seen by both: the watch has come to know the list
	kill(t, later)
	eventually(t, "another b, which was not there when the watch began", func() bool { pid := f.Running("b"); return pid != 0 && pid != later })
	if now := f.Running("a"); now != first {
		t.Errorf("a was %d and is %d", first, now)
	}
}

func TestWatchLetsGoWhatIsEnded(t *testing.T) {
	f := newFolder(t)
	first := ensure(t, f, sleeper("a", "1000"), Started)
	watch(t, f, "self")
	if err := f.End(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * shortestPause) // long enough for a watcher that is wrong
	if pid := f.Running("a"); pid != 0 || alive(first) {
		t.Fatalf("a was started again: %d", pid)
	}
	second := ensure(t, f, sleeper("a", "1000"), Started)
	kill(t, second)
	eventually(t, "a again, wanted anew", func() bool { pid := f.Running("a"); return pid != 0 && pid != second })
}

func TestTwoWatchersStartOnce(t *testing.T) {
	f := newFolder(t)
	p := sleeper("a", "1000")
	p.Path, p.Args = "/bin/sh", []string{"-c", "echo started; exec sleep 1000"}
	first := ensure(t, f, p, Started)
	eventually(t, "its first words", func() bool { return f.LogTail("a", 1) == "started" })
	watch(t, f, "self")
	watch(t, f, "other")
	kill(t, first)
	eventually(t, "another a", func() bool { pid := f.Running("a"); return pid != 0 && pid != first })
	time.Sleep(3 * shortestPause) // for the slower of the two
	if n := strings.Count(f.LogTail("a", 100), "started"); n != 2 {
		t.Errorf("a was started %d times, want 2", n)
	}
}

func TestLogIsSetAside(t *testing.T) {
	f := newFolder(t)
	if err := os.WriteFile(f.LogFile("a"), make([]byte, largestLog+1), 0o600); err != nil {
		t.Fatal(err)
	}
	ensure(t, f, Process{Name: "a", Path: "/bin/sh", Args: []string{"-c", "echo hello; exec sleep 1000"}, Grace: time.Second}, Started)
	eventually(t, "a new log", func() bool { return f.LogTail("a", 1) == "hello" })
	if info, err := os.Stat(f.LogFile("a") + ".1"); err != nil || info.Size() != largestLog+1 {
		t.Errorf("the old log is gone: %v", err)
	}
}

func TestStubbornProcessIsKilled(t *testing.T) {
	f := newFolder(t)
	p := Process{Name: "a", Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"}, Grace: 200 * time.Millisecond}
	pid := ensure(t, f, p, Started)
	eventually(t, "the trap", func() bool { return f.LogTail("a", 1) == "deaf" })
	if err := f.End(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Error("it is alive")
	}
}
