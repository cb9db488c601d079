package backup

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"context"

	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend/podman/node"
	"mockup.dev/mockup/manifests"
)

// during a run that takes some seconds, its progress stands in the status, and no secret is where others look.
func (b *backups) during(t *testing.T) {
	b.random("slow", 48)
	limit := resource.MustParse("8Mi")
	archives := b.policy().Spec.Archives
	b.patch(func(p *v1alpha1.BackupPolicy) { p.Spec.Bandwidth, p.Spec.Archives = &limit, nil })
	defer b.patch(func(p *v1alpha1.BackupPolicy) { p.Spec.Bandwidth, p.Spec.Archives = nil, archives })
	b.asks("slowly")
	words := b.words()
	looks, seen := 0, []v1alpha1.BackupProgress{}
	b.until("the run to end", func() error {
		status := b.policy().Status
		if status.HandledRequest != "slowly" || status.Run != nil {
			if b.runs() {
				looks++
				b.conceals(t, words)
			}
			if status.Run != nil && status.Run.Progress != nil {
				seen = append(seen, *status.Run.Progress)
			}
			return fmt.Errorf("it goes on: %+v", status.Run)
		}
		return nil
	})
	must(t, os.Remove(filepath.Join(b.source(), "extra", "slow")))
	if out := b.policy().Status.History[0]; !out.Succeeded {
		t.Errorf("outcome %+v", out)
	}
	if looks < 3 {
		t.Errorf("looked for secrets %d times only while it ran", looks)
	}
	moved := slices.ContainsFunc(seen, func(p v1alpha1.BackupProgress) bool {
		return p.Phase == seen[0].Phase && p.Subject == seen[0].Subject && p.Bytes > seen[0].Bytes || p.Phase != seen[0].Phase || p.Subject != seen[0].Subject
	})
	known := slices.ContainsFunc(seen, func(p v1alpha1.BackupProgress) bool {
		return p.Bytes > 0 && p.BytesPerSecond > 0 && p.TotalBytes > 0 // which is that of the last snapshot, as long as it is a guess
	})
	if !moved || !known {
		t.Errorf("progress (moved: %t, known: %t): %+v", moved, known, seen)
	}
	t.Logf("looked %d times, saw progress %d times", looks, len(seen))
}

// runs tells whether the program of a backup runs.
func (b *backups) runs() bool {
	said, err := b.Podman(b.t.Context(), "ps", "--quiet", "--filter", "label=mockup.dev/component=backup")
	return err == nil && strings.TrimSpace(said) != ""
}

// words that must be nowhere.
func (b *backups) words() []string {
	b.t.Helper()
	password := b.kubectl("get", "secret", "mime-storage-backup", "-o", "jsonpath={.data.password}")
	plain, err := base64.StdEncoding.DecodeString(password)
	must(b.t, err)
	return []string{secretKey, base64.StdEncoding.EncodeToString([]byte(secretKey)), string(plain), password}
}

// conceals looks for secrets in what every user of the machine may see of a program, and in what Podman tells.
func (b *backups) conceals(t *testing.T, words []string) {
	places := map[string]string{}
	for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"} {
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, f := range files {
			content, _ := os.ReadFile(f) // it may have ended
			places[f] = string(content)
		}
	}
	list := func(args ...string) []string {
		said, err := b.Podman(t.Context(), args...)
		must(t, err)
		return strings.Fields(said)
	}
	tell := func(what string, args ...string) {
		said, _ := b.Podman(t.Context(), args...) // what went meanwhile is no error
		places[what] += said
	}
	tell("containers", append([]string{"container", "inspect"}, list("ps", "--all", "--quiet")...)...)
	tell("pods", append([]string{"pod", "inspect"}, list("pod", "ls", "--quiet")...)...)
	tell("volumes", append([]string{"volume", "inspect"}, list("volume", "ls", "--quiet")...)...)
	for _, id := range list("ps", "--all", "--quiet", "--filter", "label=mockup.dev/component=backup") {
		tell("logs", "logs", id)
	}
	if !strings.Contains(places["containers"], "backup") || !strings.Contains(places["logs"], "progress") && !strings.Contains(places["logs"], "result") {
		return // it has just ended, or begun
	}
	for where, text := range places {
		for _, word := range words {
			if strings.Contains(text, word) {
				t.Errorf("a secret is in %s", where)
			}
		}
	}
}

// figures of the operator are what the alerts ask for, and what the status says.
func (b *backups) figures(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", node.PortSocket(node.DefaultDir(), manifests.OperatorMetricsPort))
	}}}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://operator/metrics")
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	rules, err := os.ReadFile(filepath.Join(b.Root(), "manifests", "testdata", "observability", "alerts.golden.yaml"))
	must(t, err)
	asked := slices.Compact(slices.Sorted(slices.Values(regexp.MustCompile(`mockup_backup_[a-z_]+`).FindAllString(string(rules), -1))))
	if len(asked) < 6 {
		t.Errorf("the rules ask for %v only", asked)
	}
	const of = `namespace="default",policy="mime-storage",stack="mockup"}`
	for _, name := range asked {
		if !strings.Contains(string(text), name+"{"+of) && !strings.Contains(string(text), name+`{`+strings.Replace(of, "policy", `operation="run",policy`, 1)) {
			t.Errorf("an alert asks for %s, which the operator does not tell of the policy", name)
		}
	}
	status := b.policy().Status
	for _, line := range []string{
		fmt.Sprintf("mockup_backup_snapshots{%s %d", of, status.Snapshots),
		fmt.Sprintf("mockup_backup_findings{%s 0", of),
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
}

// written files are whole in every snapshot: those put in place by renaming are the old or the new, and of those that are written in
// place a run says so.
func (b *backups) written(t *testing.T) {
	const size = 4 << 20
	at := func(name string) string { return filepath.Join(b.source(), "extra", name) }
	full := func(c byte) []byte { return []byte(strings.Repeat(string(rune(c)), size)) }
	must(t, os.WriteFile(at("renamed"), full('a'), 0o640))
	must(t, os.WriteFile(at("in-place"), bytes.Repeat(full('a'), 8), 0o640)) // it takes longer to read than the writer pauses
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- writing(at, full, stop) }()
	unstable := false
	for i := 0; i < 2 || !unstable && i < 6; i++ {
		out := b.does("backup", "now")
		unstable = unstable || strings.Contains(out.Message, "written to meanwhile")
		into := fmt.Sprint("written-", i)
		b.does("restore", "--into", into, "--path", "extra/renamed")
		content, err := os.ReadFile(filepath.Join(b.volume("default-mime-storage-"+into), "extra", "renamed"))
		must(t, err)
		if len(content) != size || strings.Count(string(content), string(content[:1])) != size {
			t.Errorf("run %d: the file is a mixture of %d bytes", i, len(content))
		}
	}
	close(stop)
	must(t, <-done)
	if !unstable {
		t.Error("no run has noticed that a file was written to in place")
	}
	must(t, os.Remove(at("renamed")))
	must(t, os.Remove(at("in-place")))
}

// writing goes on until it is stopped: one file is replaced as a whole, another one is written to all the time.
func writing(at func(string) string, full func(byte) []byte, stop chan struct{}) error {
	file, err := os.OpenFile(at("in-place"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	defer os.Remove(at("renamed.new"))
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		case <-time.After(2 * time.Millisecond):
		}
		if _, err := file.WriteAt([]byte{byte('a' + i%26)}, int64(i*4099%(4<<20))); err != nil {
			return err
		}
		if i%20 != 0 {
			continue
		}
		if err := os.WriteFile(at("renamed.new"), full(byte('a'+i/20%26)), 0o640); err != nil {
			return err
		}
		if err := os.Rename(at("renamed.new"), at("renamed")); err != nil {
			return err
		}
	}
}
