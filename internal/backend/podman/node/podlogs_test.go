package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// logged is a container of a pod whose log Podman writes.
type logged struct {
	t      testing.TB
	state  State
	source string
	file   *os.File
	lines  int
}

// newLogged is on the disk, under a folder like that of Podman's storage.
func newLogged(t testing.TB) *logged {
	t.Helper()
	storage := t.TempDir()
	l := &logged{t: t, state: State{Owner: "o", Namespace: "default", Logs: Logs{Dir: filepath.Join(storage, "logs")}}}
	l.container(storage, "c1")
	return l
}

// container takes the place of the pod's container.
func (l *logged) container(storage, id string) {
	l.t.Helper()
	l.source = filepath.Join(storage, "overlay-containers", id, "userdata", "ctr.log")
	must(l.t, os.MkdirAll(filepath.Dir(l.source), 0o700))
	l.state.Logs.Pods = []PodLogs{{Name: "web-0", ID: "abc", Containers: map[string]string{"web": l.source}}}
	l.file = nil
}

// say a line.
func (l *logged) say() {
	l.t.Helper()
	if l.file == nil {
		var err error
		l.file, err = os.OpenFile(l.source, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
		must(l.t, err)
	}
	_, err := fmt.Fprintf(l.file, "line %d\n", l.lines)
	must(l.t, err)
	l.lines++
}

// rotate as conmon does.
func (l *logged) rotate() {
	l.t.Helper()
	must(l.t, l.file.Close())
	var err error
	l.file, err = os.OpenFile(l.source+".tmp", os.O_WRONLY|os.O_TRUNC|os.O_CREATE, 0o640)
	must(l.t, err)
	must(l.t, os.Rename(l.source+".tmp", l.source))
}

func (l *logged) folder() string { return filepath.Join(l.state.Logs.Dir, "default_web-0_abc", "web") }

// files of the log, the oldest first.
func (l *logged) files() []string {
	rotated, _ := filepath.Glob(filepath.Join(l.folder(), "[0-9]*.log.*"))
	slices.SortFunc(rotated, func(a, b string) int { return strings.Compare(filepath.Ext(a), filepath.Ext(b)) })
	current, _ := filepath.Glob(filepath.Join(l.folder(), "[0-9]*.log"))
	return append(rotated, current...)
}

// has complains unless the files hold all lines in their order from the first one on.
func (l *logged) has(first int) error {
	var got, want strings.Builder
	for _, file := range l.files() {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		got.Write(text)
	}
	for i := first; i < l.lines; i++ {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	if got.String() != want.String() {
		return fmt.Errorf("the files %v hold %q in place of %q", l.files(), got.String(), want.String())
	}
	return nil
}

func keeper(t testing.TB, log *slog.Logger) *podLogs {
	t.Helper()
	if log == nil {
		log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	p := newPodLogs(log)
	must(t, p.lacking)
	done := make(chan struct{})
	go func() { p.watch(t.Context()); close(done) }()
	t.Cleanup(func() { <-done })
	return p
}

func mustKeep(t testing.TB, p *podLogs, s State) {
	t.Helper()
	if problems := p.keep(s); len(problems) > 0 {
		t.Fatal(problems)
	}
}

// What is written is found where a kubelet would have it, and a full file that conmon does away with stays.
func TestLogsAreRotated(t *testing.T) {
	l, p := newLogged(t), keeper(t, nil)
	mustKeep(t, p, l.state) // before the first line
	for range maxLogFiles {
		l.say()
		l.say()
		eventually(t, 5*second, func() error { return l.has(0) })
		if l.lines < 2*maxLogFiles {
			l.rotate()
		}
	}
	if n := len(l.files()); n != maxLogFiles {
		t.Errorf("%d files", n)
	}
	for _, file := range l.files()[:maxLogFiles-1] {
		if _, err := time.ParseInLocation(rotatedLayout, strings.TrimPrefix(filepath.Ext(file), "."), time.Local); err != nil {
			t.Errorf("no name of a kubelet's: %v", err)
		}
	}
	for range 3 { // the oldest go
		l.rotate()
		l.say()
		l.say()
		eventually(t, 5*second, func() error { return l.has(l.lines - 2*maxLogFiles) })
	}
	for _, folder := range []string{l.state.Logs.Dir, filepath.Dir(l.folder()), l.folder()} {
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v %v", folder, info.Mode(), err)
		}
	}
}

// No file has the name that another had before: a log agent that knows files by their names would take it for that.
func TestLogsHaveNamesOfTheirOwn(t *testing.T) {
	l := newLogged(t)
	l.say()
	seen := map[string]bool{}
	for i := range 12 {
		mustKeep(t, newPodLogs(slog.New(slog.DiscardHandler)), l.state)
		files := l.files()
		current := filepath.Base(files[len(files)-1])
		if want := fmt.Sprintf("%d.log", i); current != want || seen[current] || len(files) != min(i+1, maxLogFiles) {
			t.Errorf("the files are %v, of which the last should be %s", files, want)
		}
		seen[current] = true
		must(t, l.has(max(0, l.lines-maxLogFiles)))
		l.rotate()
		l.say()
	}
}

// An agent that begins anew catches up with what it can: a file that was full meanwhile, and a link that was half made.
func TestLogsOfAnAgentThatWasAway(t *testing.T) {
	l := newLogged(t)
	l.say()
	mustKeep(t, newPodLogs(slog.New(slog.DiscardHandler)), l.state) // nobody reads what came: it is away
	l.rotate()
	l.say()
	mustKeep(t, newPodLogs(slog.New(slog.DiscardHandler)), l.state)
	must(t, l.has(0))
	l.rotate()
	l.say()
	must(t, os.Link(l.source, filepath.Join(l.folder(), nextLog))) // killed here
	l.rotate()
	l.say()
	mustKeep(t, newPodLogs(slog.New(slog.DiscardHandler)), l.state)
	must(t, l.has(0))
	must(t, os.Link(l.source, filepath.Join(l.folder(), nextLog))) // killed between two names of one file
	mustKeep(t, newPodLogs(slog.New(slog.DiscardHandler)), l.state)
	must(t, l.has(0))
	if _, err := os.Stat(filepath.Join(l.folder(), nextLog)); err == nil {
		t.Error("a link that was half made is still there")
	}
}

// A container that was made anew goes on in a new file.
func TestLogsOfANewContainer(t *testing.T) {
	l, p := newLogged(t), keeper(t, nil)
	l.say()
	mustKeep(t, p, l.state)
	must(t, os.RemoveAll(filepath.Dir(filepath.Dir(l.source))))
	l.container(filepath.Dir(l.state.Logs.Dir), "c2")
	l.say()
	mustKeep(t, p, l.state)
	must(t, l.has(0))
	if n := len(l.files()); n != 2 {
		t.Errorf("%d files", n)
	}
}

// The last words of a pod can be read for a while after it went, and then its folder goes, unless it came back.
func TestLogsOfAPodThatWent(t *testing.T) {
	l, p := newLogged(t), keeper(t, nil)
	p.stay = 300 * time.Millisecond
	l.say()
	mustKeep(t, p, l.state)
	none := l.state
	none.Logs.Pods = nil
	mustKeep(t, p, none)
	l.rotate() // it still says something while it goes
	l.say()
	eventually(t, 5*second, func() error { return l.has(0) })
	mustKeep(t, p, l.state)
	time.Sleep(2 * p.stay)
	must(t, l.has(0))
	must(t, os.RemoveAll(filepath.Dir(filepath.Dir(l.source))))
	p.leave(l.state.Owner)
	must(t, l.has(0))
	eventually(t, 5*second, func() error {
		if _, err := os.Stat(filepath.Dir(l.folder())); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the folder of a pod that is gone: %w", err)
		}
		return nil
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) != 0 || len(p.arrivals.watches) != 0 {
		t.Errorf("kept of it: %v, %v", p.kept, p.arrivals.watches)
	}
}

// What an agent left of pods that are gone since is removed by the next.
func TestLogsThatWereLeft(t *testing.T) {
	l := newLogged(t)
	left := filepath.Join(l.state.Logs.Dir, "default_old-0_def")
	must(t, os.MkdirAll(left, 0o755))
	p := keeper(t, nil)
	p.stay = 50 * time.Millisecond
	l.say()
	mustKeep(t, p, l.state)
	eventually(t, 5*second, func() error {
		if _, err := os.Stat(left); err == nil {
			return errors.New("it is still there")
		}
		return nil
	})
	must(t, l.has(0))
}

// What keeps logs from being kept is said once, and every time to who asks; a pod has its names all the same.
func TestLogsThatCannotBeKept(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "logs")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(shm) })
	for want, change := range map[string]func(*logged){
		"cross-device":     func(l *logged) { l.state.Logs.Dir = filepath.Join(shm, "logs") },
		"not a directory":  func(l *logged) { l.state.Logs.Dir = l.source },
		"no name":          func(l *logged) { l.state.Logs.Pods[0].Containers = map[string]string{"../x": l.source} },
		"Podman's contain": func(l *logged) { l.state.Logs.Pods[0].Containers["web"] = "/no/where/id/userdata/ctr.log" },
		"/proc/1/logs":     func(l *logged) { l.state.Logs.Dir = "/proc/1/logs" },
	} {
		t.Run(want, func(t *testing.T) {
			l := newLogged(t)
			l.say()
			change(l)
			var log bytes.Buffer
			p := newPodLogs(slog.New(slog.NewTextHandler(&log, nil)))
			for range 3 {
				if got := p.keep(l.state)["web-0"]; !strings.Contains(got, want) {
					t.Errorf("it says %q and nothing of %q", got, want)
				}
			}
			if n := strings.Count(log.String(), "are not kept"); n != 1 {
				t.Errorf("%d lines: %s", n, log.String())
			}
			l.state.Pods = []Pod{{Name: "web-0", Services: []string{"web"}}}
			put, _ := startAgent(t, Options{})
			if answer := put(l.state); len(answer.Failures) > 0 || !strings.Contains(answer.Logs["web-0"], want) {
				t.Errorf("the answer is %+v", answer)
			}
		})
	}
}

// Without an owner there is nobody to read logs: an agent takes them along, but not when it is replaced.
func TestLogsGoWithTheLastOwner(t *testing.T) {
	l := newLogged(t)
	l.say()
	c := newAgentClient(t, 300*time.Millisecond)
	_, err := c.Put(t.Context(), l.state)
	must(t, err)
	must(t, c.call(t.Context(), "POST", "/stop", nil, nil))
	time.Sleep(time.Second)
	must(t, l.has(0))
	c.doubt()
	must(t, c.Start(t.Context())) // which finds in its folder whom it keeps logs for
	l.rotate()
	l.say()
	eventually(t, 5*second, func() error { return l.has(0) })
	must(t, c.Delete(t.Context(), l.state.Owner))
	must(t, l.has(0))
	eventually(t, 5*second, func() error {
		if _, err := os.Stat(l.state.Logs.Dir); err == nil {
			return errors.New("logs are there")
		}
		return nil
	})
}
