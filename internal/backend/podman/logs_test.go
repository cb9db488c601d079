package podman

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
)

// fromHost is a folder of the host.
func fromHost(path string) corev1.VolumeSource {
	return corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}
}

// logFolder is where a log agent finds the logs of a pod on this host.
func (p *trap) logFolder(pod string) string {
	p.t.Helper()
	where, err := p.backend.place(p.ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	found, there, err := p.backend.engine.podNamed(p.ctx, pod)
	if err != nil || !there {
		p.t.Fatalf("pod %s: there %t, %v", pod, there, err)
	}
	return filepath.Join(where.podLogs(), fmt.Sprintf("%s_%s_%s", p.s.owner.Namespace, pod, found.id))
}

// saidIn counts the lines in the files of a container's folder, the oldest first, as long as they are those of "say". As log
// agents do, it puts together what the runtime read in parts (P).
func saidIn(folder string) (lines, files int, err error) {
	said := ""
	rotated, _ := filepath.Glob(filepath.Join(folder, "[0-9]*.log.*"))
	slices.SortFunc(rotated, func(a, b string) int { return strings.Compare(filepath.Ext(a), filepath.Ext(b)) })
	current, _ := filepath.Glob(filepath.Join(folder, "[0-9]*.log"))
	for _, file := range append(rotated, current...) {
		text, err := os.ReadFile(file)
		if err != nil {
			return lines, files, err
		}
		files++
		for line := range bytes.Lines(text) {
			_, part, partial := strings.Cut(string(line), " stdout P ")
			if partial {
				said += strings.TrimSuffix(part, "\n")
				continue
			}
			_, part, _ = strings.Cut(string(line), " stdout F ")
			said += part
			if want := guest.SaidLine(lines) + "\n"; said != want {
				return lines, files, fmt.Errorf("%s has %q where %q is due", file, said, want)
			}
			said = ""
			lines++
		}
	}
	return lines, files, nil
}

func within(t *testing.T, limit time.Duration, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("not within %s: %v", limit, err)
}

// A file that is full is replaced by a new one, and what is in it lost (conmon's reopen_k8s_file); with a container all
// goes. A log agent finds every line of every container all the same, at the path that it has on a cluster.
func TestLogsMissNoLine(t *testing.T) {
	p := newTrap(t)
	const lines = 320_000 // of 100 bytes and their times: more than four files
	talker := p.s.quiet("talker")
	mainOf(talker).Args = []string{"sleep", "3s", "then", "say", fmt.Sprint(lines), "then", "sleep", "1h"}
	side := *mainOf(talker).DeepCopy()
	side.Name, side.Args = "side", []string{"say", "3", "then", "sleep", "1h"}
	talker.Spec.Template.Spec.Containers = append(talker.Spec.Template.Spec.Containers, side)
	reader := p.s.quiet("reader")
	mounts(reader, "logs", "/logs", fromHost("/var/log/pods"))
	reader.Spec.Template.Spec.Containers[0].VolumeMounts[0].ReadOnly = true
	p.ready(reader, talker)
	folder := p.logFolder(p.pod("talker", 0))
	begun := time.Now()
	within(t, time.Minute, func() error {
		said, files, err := saidIn(filepath.Join(folder, "guest"))
		if err == nil && said != lines {
			err = fmt.Errorf("%d lines in %d files", said, files)
		}
		if err == nil && files < 4 {
			t.Errorf("%d files only: nothing was rotated", files)
		}
		return err
	})
	t.Logf("all %d lines after %s", lines, time.Since(begun))
	inside := filepath.Join("/logs", filepath.Base(folder), "side", "0.log")
	if out := p.mustGuest(p.pod("reader", 0), "cat", inside); !strings.Contains(out, " stdout F line 2") {
		t.Errorf("a log agent reads %q", out)
	}
	p.ready(reader)
	last, err := os.ReadFile(filepath.Join(folder, "side", "0.log"))
	if err != nil || !strings.Contains(string(last), " stderr F guest: context canceled\n") {
		t.Errorf("the last words of a pod that is gone: %q, %v", last, err)
	}
	if said, _, err := saidIn(filepath.Join(folder, "guest")); said != lines {
		t.Errorf("%d lines of a pod that is gone, %v", said, err)
	}
	if _, there, _ := p.backend.engine.podNamed(p.ctx, p.pod("talker", 0)); there {
		t.Error("the pod is still there")
	}
	p.gone()
}

// A Job that has ended long before anybody looks has its log found, too.
func TestLogsOfAShortJob(t *testing.T) {
	p := newTrap(t)
	job := p.s.job("short", "say", "5")
	p.ready(job)
	folder := p.logFolder(p.pod("short", 0))
	if said, _, err := saidIn(filepath.Join(folder, "guest")); said != 5 || err != nil {
		t.Errorf("%d lines, %v", said, err)
	}
	p.gone()
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		t.Error("its folder went at once")
	}
}

func TestHostPathOfLogs(t *testing.T) {
	v := podVolumes{translator: &translator{podLogs: "/storage/logs"}}
	for path, want := range map[string]string{
		"/var/log/pods": "/storage/logs", "/var/log/pods/": "/storage/logs", "/var/log/pods/a/b": "/storage/logs/a/b",
		"/var/log/podsX": "/var/log/podsX", "/var/log": "/var/log", "/data": "/data",
	} {
		if got := v.hostPath(path); got != want {
			t.Errorf("%s is led to %s in place of %s", path, got, want)
		}
	}
	for path, refused := range map[string]bool{"/var/log": true, "/var/log/containers/": true, "/var/log/pods": false, "/var": false} {
		if got := holdsLogs(path); (got != "") != refused {
			t.Errorf("%s: %q", path, got)
		}
	}
}
