package processes

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// shop is a supervisor that starts programs as a service manager does: with a mark, and a pid file that the program writes
// itself.
type shop struct {
	t     *testing.T
	kept  map[string]bool
	runs  map[string]*exec.Cmd
	calls []string
}

func (s *shop) Keeps(name string) bool { return s.kept[name] }

func (s *shop) Start(_ context.Context, p Process, mark string) error {
	s.calls = append(s.calls, "start "+p.Name)
	s.end(p.Name)
	_, pidFile, _ := strings.Cut(mark, "=")
	pidFile = pidFile[:strings.LastIndex(pidFile, ":")]
	cmd := exec.Command("/bin/sh", "-c", "echo $$ >"+pidFile+"; exec "+p.Path+" "+strings.Join(p.Args, " "))
	cmd.Env = append(os.Environ(), mark)
	if err := cmd.Start(); err != nil {
		return err
	}
	s.runs[p.Name] = cmd
	for {
		content, err := os.ReadFile(pidFile)
		if err == nil && strings.TrimSpace(string(content)) == strconv.Itoa(cmd.Process.Pid) {
			return nil
		}
	}
}

func (s *shop) Stop(_ context.Context, name string) error {
	s.calls = append(s.calls, "stop "+name)
	s.end(name)
	return nil
}

func (s *shop) end(name string) {
	if cmd := s.runs[name]; cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		delete(s.runs, name)
	}
}

func TestSupervisor(t *testing.T) {
	f := newFolder(t)
	first := ensure(t, f, sleeper("a", "1000"), Started)
	s := &shop{t: t, kept: map[string]bool{"a": true}, runs: map[string]*exec.Cmd{}}
	f.Supervisor = s
	t.Cleanup(func() { s.end("a") })

	// What ran under our own watch is taken over, and left alone from then on.
	second := ensure(t, f, sleeper("a", "1000"), Restarted)
	if second == first || second != s.runs["a"].Process.Pid {
		t.Errorf("process %d runs, it was %d before", second, first)
	}
	if wanted, err := f.Wanted(); err != nil || len(wanted) > 0 {
		t.Errorf("it is still ours to keep: %v, %v", wanted, err)
	}
	if again := ensure(t, f, sleeper("a", "1000"), Unchanged); again != second {
		t.Errorf("process %d became %d", second, again)
	}
	ensure(t, f, sleeper("a", "2000"), Restarted)

	// What the supervisor does not keep is ours.
	ensure(t, f, sleeper("b", "1000"), Started)
	if wanted, err := f.Wanted(); err != nil || len(wanted) != 1 {
		t.Errorf("wanted: %v, %v", wanted, err)
	}
	for _, name := range []string{"a", "b"} {
		if err := f.End(t.Context(), name); err != nil || f.Running(name) != 0 {
			t.Errorf("%s runs as %d after its end: %v", name, f.Running(name), err)
		}
	}
	if got := strings.Join(s.calls, ", "); got != "start a, start a, stop a" {
		t.Errorf("asked the supervisor to %s", got)
	}
}

func TestClaim(t *testing.T) {
	f := Folder{Run: t.TempDir()}
	if err := f.Claim("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.PIDFile("a")); err == nil {
		t.Error("a process without a mark wrote a pid file")
	}
	t.Setenv("MOCKUP_PROCESS", f.PIDFile("a")+":0123")
	if err := f.Claim("b"); err != nil {
		t.Fatal(err)
	}
	if err := f.Claim("a"); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(f.PIDFile("a"))
	if err != nil || strings.TrimSpace(string(content)) != strconv.Itoa(os.Getpid()) {
		t.Errorf("the pid file says %q, %v", content, err)
	}
	if _, err := os.Stat(f.PIDFile("b")); err == nil {
		t.Error("it claimed to be another program")
	}
}
