package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// packed is a line of the program of backups.
func packed(t *testing.T, lines ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"entries":%q}`, base64.StdEncoding.EncodeToString(b.Bytes())) + "\n"
}

func TestEntriesAreReadWholeOrNotAtAll(t *testing.T) {
	lines := packed(t, `{"path":".","type":"directory","mode":493}`, `{"path":"a","type":"file","mode":420,"size":3}`) +
		packed(t, `{"path":"link","type":"symlink","target":"YQ=="}`)
	entries, err := decodeEntries(strings.NewReader("{\"progress\":{}}\n" + lines + `{"result":{"succeeded":true,"entries":3}}` + "\n"))
	if err != nil || len(entries) != 3 {
		t.Fatalf("got %v, %v", entries, err)
	}
	var out bytes.Buffer
	if err := printEntries(&out, formTable, entries); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"drwxr-xr-x", "-rw-r--r--", "link -> a"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	for what, log := range map[string]string{
		"of 4 files only 3":              lines + `{"result":{"succeeded":true,"entries":4}}`,
		"ends before its end":            lines,
		"there is no snapshot of volume": `{"result":{"succeeded":false,"error":"there is no snapshot of volume v"}}`,
	} {
		if _, err := decodeEntries(strings.NewReader(log)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q, got %v", what, err)
		}
	}
	_, err = decodeEntries(strings.NewReader(`{"result":{"succeeded":false,"reason":"SnapshotMissing","error":"there is none"}}`))
	var failed *browseError
	if !errors.As(err, &failed) || failed.reason != "SnapshotMissing" || failed.message != "there is none" {
		t.Errorf("the reason is lost: %v", err)
	}
}

func TestPolicyInTheStatus(t *testing.T) {
	now := time.Date(2026, 2, 14, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *metav1.Time { t := metav1.NewTime(now.Add(d)); return &t }
	stack := &v1alpha1.MockupStack{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "mockup"}}
	policy := &v1alpha1.BackupPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "files"},
		Spec:       v1alpha1.BackupPolicySpec{StackRef: v1alpha1.StackRef{Name: "mockup"}},
		Status: v1alpha1.BackupPolicyStatus{
			LastSuccess: at(-10 * time.Hour), NextRun: at(14 * time.Hour), LastVerified: at(-9 * time.Hour), Snapshots: 2, Size: "358Mi",
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: "True", Reason: "Ready"}},
		},
	}
	var out bytes.Buffer
	if err := printTree(&out, []*subject{policySubject(policy), stackSubject(stack)}, now); err != nil {
		t.Fatal(err)
	}
	const want = "backup default/files  ready: True  backs up mockup, last success 10h0m0s ago, 2 snapshots in 358Mi, verified 9h0m0s ago, next in 14h0m0s"
	if !strings.Contains(out.String(), want) || strings.Index(out.String(), "default/mockup") > strings.Index(out.String(), want) {
		t.Errorf("got\n%s\nwant, behind its stack,\n%s", out.String(), want)
	}
	policy.Status.Run = &v1alpha1.BackupRun{BackupRequest: v1alpha1.BackupRequest{Operation: v1alpha1.BackupRestore, InPlace: true}}
	policy.Status.Restore = &v1alpha1.InPlaceRestore{Volume: "store", Phase: v1alpha1.RestoreRollingBack}
	out.Reset()
	if err := printTree(&out, []*subject{policySubject(policy)}, now); err != nil || !strings.Contains(out.String(), ", restores store in place: RollingBack") {
		t.Errorf("%v: got\n%s", err, out.String())
	}
	if order := stopOrder([]*subject{stackSubject(stack), policySubject(policy)}); len(order) != 2 || order[0][0].kind != policyKind {
		t.Error("the stack is taken away before what is on its networks")
	}
}

func TestOutcomesAndTheirExitCodes(t *testing.T) {
	failed := v1alpha1.BackupOutcome{Operation: v1alpha1.BackupVerify, Reason: "RepositoryDamaged", Message: "blob p1 is missing"}
	var out bytes.Buffer
	if err := printOutcome(&out, formText, failed); err == nil || err.Error() != "verify failed: RepositoryDamaged: blob p1 is missing" {
		t.Errorf("got %v", err)
	}
	if err := printOutcome(&out, formJSON, failed); err == nil || !strings.Contains(out.String(), `"reason": "RepositoryDamaged"`) {
		t.Errorf("got %v and %s", err, out.String())
	}
	out.Reset()
	if err := printOutcome(&out, formText, v1alpha1.BackupOutcome{Succeeded: true, Message: "all is well"}); err != nil || out.String() != "all is well\n" {
		t.Errorf("got %v and %s", err, out.String())
	}
}

func TestProgressIsPrintedOnce(t *testing.T) {
	var out bytes.Buffer
	left := int64(65)
	p := &backupProgress{w: &out}
	run := &v1alpha1.BackupRun{Progress: &v1alpha1.BackupProgress{Phase: "backup", Subject: "files", Files: 3, TotalFiles: 9, Bytes: 1_500_000, TotalBytes: 9e6, BytesPerSecond: 5e5, RemainingSeconds: &left}}
	p.show(run, nil)
	p.show(run, nil)
	if want := "backup files: 3 of 9 files, 1.5 of 9.0 MB, 0.5 MB/s, 1m5s left\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestProgressOfARestoreInPlace(t *testing.T) {
	var out bytes.Buffer
	p := &backupProgress{w: &out}
	run, restore := &v1alpha1.BackupRun{BackupRequest: v1alpha1.BackupRequest{InPlace: true}}, &v1alpha1.InPlaceRestore{Phase: v1alpha1.RestoreStoppingServices}
	p.show(run, restore)
	run.Progress = &v1alpha1.BackupProgress{Phase: "restore", Subject: "files", Files: 3, Bytes: 1_500_000}
	p.show(run, restore)
	restore.Phase, restore.Attempts, restore.Message = v1alpha1.RestoreRollingBack, 2, "it was killed"
	p.show(run, restore)
	if want := "StoppingServices\nRollingBack (attempt 2: it was killed): restore files: 3 files, 1.5 MB\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// TestRestoreInPlaceAsksFirst: what is called wrongly, or refused, reaches no control plane.
func TestRestoreInPlaceAsksFirst(t *testing.T) {
	for _, c := range []struct {
		answer string
		args   []string
		code   int
		says   string
	}{
		{"n\n", []string{"--in-place"}, exitFailed, "nothing was restored"},
		{"", []string{"--in-place", "--into", "x"}, exitUsage, "[in-place into]"},
		{"", nil, exitUsage, "[into in-place]"},
		{"", []string{"--in-place", "--from", "disk"}, exitUsage, "[from in-place]"},
		{"y\n", []string{"--in-place", "--path", "a"}, exitUnreachable, ""},
		{"", []string{"--in-place", "--yes"}, exitUnreachable, ""},
	} {
		var errOut bytes.Buffer
		a := &app{in: strings.NewReader(c.answer), out: &bytes.Buffer{}, err: &errOut}
		code := run(t.Context(), append([]string{"mockup", "restore", "--state-dir", t.TempDir()}, c.args...), a)
		if code != c.code || !strings.Contains(errOut.String(), c.says) {
			t.Errorf("%v: exit code %d, not %d, saying %s", c.args, code, c.code, errOut.String())
		}
	}
}
