package backup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
	"mockup.dev/mockup/test/stacktest"
)

// hooks are run by a program that the test puts into the volume, since the service's image has no other than its own.
func (b *backups) hooks(t *testing.T) {
	dir := filepath.Join(b.source(), "extra", "hooks")
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.Chown(dir, 65532, 65532))
	build := exec.CommandContext(t.Context(), "go", "build", "-C", b.Root(), "-o", filepath.Join(dir, "guest"), "./internal/backend/backendtest/guest/cmd")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program of the hooks: %v: %s", err, said)
	}
	defer func() {
		b.patch(func(p *v1alpha1.BackupPolicy) { p.Spec.Hooks = v1alpha1.BackupHooks{} })
		must(t, os.RemoveAll(dir))
		b.does("backup", "now")
		b.until("the policy to be ready", b.ready)
	}()
	for _, step := range []struct {
		name string
		do   func(t *testing.T, dir string)
	}{
		{"what one writes is in the snapshot", b.hookWrites}, {"one fails", b.hookFails}, {"one fails and nobody minds", b.hookIsIgnored},
		{"one takes too long", b.hookTakesLong}, {"the operator is killed", b.hookIsRepeated},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, dir) }) {
			return
		}
	}
}

func hook(timeout, onError string, command ...string) v1alpha1.BackupHook {
	return v1alpha1.BackupHook{
		Service: "mime-server", Timeout: timeout, OnError: onError,
		Command: append([]string{mounted + "/extra/hooks/guest"}, command...),
	}
}

// mounted is where the service has the volume.
const mounted = "/data"

func (b *backups) hooked(pre, post []v1alpha1.BackupHook) {
	b.patch(func(p *v1alpha1.BackupPolicy) { p.Spec.Hooks = v1alpha1.BackupHooks{Pre: pre, Post: post} })
}

func (b *backups) hookWrites(t *testing.T, dir string) {
	const marker = mounted + "/extra/hooks/marker"
	b.hooked([]v1alpha1.BackupHook{hook("", "", "append", marker, "written down")}, []v1alpha1.BackupHook{hook("", "", "remove", marker)})
	b.does("backup", "now")
	if _, err := os.Stat(filepath.Join(dir, "marker")); !os.IsNotExist(err) {
		t.Errorf("the hook after the run did not remove the marker: %v", err)
	}
	b.does("restore", "--into", "hooked")
	text, err := os.ReadFile(filepath.Join(b.volume("default-mime-storage-hooked"), "extra/hooks/marker"))
	if err != nil || string(text) != "written down\n" {
		t.Errorf("the snapshot has %q of what the hook before the run wrote: %v", text, err)
	}
}

// failing runs a backup that has to fail, and returns its outcome.
func (b *backups) failing(t *testing.T) v1alpha1.BackupOutcome {
	t.Helper()
	if said, err := b.Mockup(t.Context(), "backup", "now"); err == nil {
		t.Fatalf("it succeeded: %s", said)
	}
	return b.policy().Status.History[0]
}

func (b *backups) hookFails(t *testing.T, dir string) {
	before := b.policy().Status.Snapshots
	b.hooked([]v1alpha1.BackupHook{hook("", "", "exit", "3")}, []v1alpha1.BackupHook{hook("", "", "append", mounted+"/extra/hooks/after", "x")})
	out := b.failing(t)
	if out.Reason != v1alpha1.ReasonHookFailed || !strings.Contains(out.Message, "exit code 3; nothing was backed up") {
		t.Errorf("outcome %+v", out)
	}
	if now := b.policy().Status.Snapshots; now != before {
		t.Errorf("there are %d snapshots, and were %d", now, before)
	}
	b.until("the policy to say so", func() error {
		c := meta.FindStatusCondition(b.policy().Status.Conditions, v1alpha1.ConditionReady)
		if c.Reason != v1alpha1.ReasonBackupFailed || !strings.Contains(c.Message, "pre hook in service mime-server failed: exit code 3") {
			return fmt.Errorf("it says %s: %s", c.Reason, c.Message)
		}
		return nil
	})
	if _, err := os.Stat(filepath.Join(dir, "after")); err != nil {
		t.Errorf("the hook after the run was not run: %v", err)
	}
}

func (b *backups) hookIsIgnored(t *testing.T, _ string) {
	before := b.policy().Status.Snapshots
	b.hooked([]v1alpha1.BackupHook{hook("", v1alpha1.BackupHookContinue, "exit", "5")}, nil)
	out := b.does("backup", "now")
	if !strings.Contains(out.Message, "exit code 5") {
		t.Errorf("the outcome says %q", out.Message)
	}
	if now := b.policy().Status.Snapshots; now <= before {
		t.Errorf("there are %d snapshots, and were %d", now, before)
	}
	b.until("the event", func() error {
		if said := b.kubectl("get", "events", "-o", "jsonpath={.items[*].message}"); !strings.Contains(said, "pre hook in service mime-server failed: exit code 5") {
			return fmt.Errorf("events are %.500s", said)
		}
		return nil
	})
}

func (b *backups) hookTakesLong(t *testing.T, _ string) {
	b.hooked([]v1alpha1.BackupHook{hook("2s", "", "sleep", "1h")}, nil)
	if out := b.failing(t); !strings.Contains(out.Message, "it took longer than 2s") {
		t.Errorf("outcome %+v", out)
	}
	b.until("the program to be ended", func() error {
		if n := processes(t, "guest\x00sleep\x001h"); n > 0 {
			return fmt.Errorf("%d still run", n)
		}
		return nil
	})
}

// hookIsRepeated kills the operator while a hook goes on: it is run again, and then the run.
func (b *backups) hookIsRepeated(t *testing.T, dir string) {
	const slow = "sleep-of-the-hook"
	b.hooked([]v1alpha1.BackupHook{
		hook("", "", "append", mounted+"/extra/hooks/first", "x"),
		hook("", "", "append", mounted+"/extra/hooks/second", slow, "then", "sleep", "4s"),
	}, nil)
	token := fmt.Sprint("hooked-", time.Now().UnixNano())
	b.patch(func(p *v1alpha1.BackupPolicy) {
		p.Annotations = map[string]string{manifests.AnnotationBackupRequest: token}
	})
	b.until("the second hook", func() error {
		if processes(t, slow) == 0 {
			return fmt.Errorf("it does not run")
		}
		return nil
	})
	pid, err := b.PID(stacktest.Operator)
	must(t, err)
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	b.until("the run to succeed", func() error {
		status := b.policy().Status
		if status.HandledRequest != token || status.Run != nil || !status.History[0].Succeeded {
			return fmt.Errorf("handled %s, doing %+v, newest %+v", status.HandledRequest, status.Run, status.History[0])
		}
		return nil
	})
	for name, want := range map[string]string{"first": "1", "second": "2"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		if n := fmt.Sprint(strings.Count(string(text), "\n")); n != want {
			t.Errorf("the %s hook was run %s times, not %s", name, n, want)
		}
	}
}

// processes counts those whose command line has a text in it.
func processes(t *testing.T, text string) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), text) {
			n++
		}
	}
	return n
}
