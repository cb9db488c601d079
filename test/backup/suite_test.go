// Package backup backs up the sample stack on real Podman, into a volume and to a server of buckets, and restores it. Trees are
// compared by the test's own reading, never by what a program says of itself.
//
//	hack/sandbox go test ./test/backup
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
	"mockup.dev/mockup/test/stacktest"
)

const (
	// patience bounds what should come about by itself, at once as it were.
	patience   = 2 * time.Minute
	lookPeriod = 300 * time.Millisecond
)

// backups is the sample stack with a policy.
type backups struct {
	*stacktest.Stack
	t    *testing.T
	name client.ObjectKey
	// whole is the test that t may be a part of.
	whole *testing.T
	// buckets is the address of the server of buckets, when it has been started.
	buckets string
}

// apply an object by kubectl.
func (b *backups) apply(o runtime.Object) {
	b.t.Helper()
	text, err := yaml.Marshal(o)
	must(b.t, err)
	file := filepath.Join(b.t.TempDir(), "object.yaml")
	must(b.t, os.WriteFile(file, text, 0o600))
	b.kubectl("apply", "-f", file)
}

func (b *backups) kubectl(args ...string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(background(b.t), patience) // it cleans up, too
	defer cancel()
	config, err := b.Mockup(ctx, "kubeconfig")
	must(b.t, err)
	out, err := exec.CommandContext(ctx, "kubectl", append([]string{"--kubeconfig", config}, args...)...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (b *backups) policy() *v1alpha1.BackupPolicy {
	b.t.Helper()
	p := &v1alpha1.BackupPolicy{}
	must(b.t, b.API.Get(b.t.Context(), b.name, p))
	return p
}

func (b *backups) ready() error {
	p := b.policy()
	if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady); c == nil || c.Status != "True" || c.ObservedGeneration != p.Generation {
		return fmt.Errorf("it is %+v, doing %+v", c, p.Status.Run)
	}
	return nil
}

// does has the command line do something, and reads its outcome.
func (b *backups) does(args ...string) v1alpha1.BackupOutcome {
	b.t.Helper()
	said, err := b.Mockup(b.t.Context(), append(args, "-o", "json")...)
	if err != nil {
		b.t.Fatalf("mockup %s: %v\n%s\n%s", strings.Join(args, " "), err, said, b.Logs())
	}
	var outcome v1alpha1.BackupOutcome
	at := strings.Index(said, "{")
	if at < 0 {
		b.t.Fatalf("mockup %s said no JSON: %s", strings.Join(args, " "), said)
	}
	must(b.t, json.NewDecoder(strings.NewReader(said[at:])).Decode(&outcome))
	return outcome
}

// asks for something by an annotation.
func (b *backups) asks(request string) {
	b.t.Helper()
	b.patch(func(p *v1alpha1.BackupPolicy) {
		p.Annotations = map[string]string{manifests.AnnotationBackupRequest: request}
	})
}

// random content of so many MiB; it does not get smaller.
func (b *backups) random(name string, size int) {
	b.t.Helper()
	content := make([]byte, size<<20)
	for i := range content {
		content[i] = byte(rand.Uint32())
	}
	must(b.t, os.WriteFile(filepath.Join(b.source(), "extra", name), content, 0o640))
}

// awaitProgram of a backup or a restore.
func (b *backups) awaitProgram() {
	b.t.Helper()
	b.until("the program to run", func() error {
		if !b.runs() {
			return errors.New("it does not")
		}
		return nil
	})
}

// volume is the folder of one of Podman's volumes.
func (b *backups) volume(name string) string {
	b.t.Helper()
	out, err := b.Podman(b.t.Context(), "volume", "inspect", "--format", "{{.Mountpoint}}", name)
	must(b.t, err)
	return strings.TrimSpace(out)
}

func (b *backups) until(what string, check func() error) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(lookPeriod) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("waited %s for %s: %v", patience, what, err)
		}
	}
}

// tree is what a folder is like. Names of one file have one number.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	out, inodes := map[string]string{}, map[uint64]string{}
	must(t, filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(name)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		st := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprintf("%s %d:%d %d", info.Mode(), st.Uid, st.Gid, info.ModTime().UnixNano())
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %x", sha256.Sum256(content))
			if st.Nlink > 1 {
				if _, ok := inodes[st.Ino]; !ok {
					inodes[st.Ino] = rel
				}
				text += " also " + inodes[st.Ino]
			}
		case info.Mode()&os.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			text += " -> " + target
		}
		out[rel] = text
		return nil
	}))
	return out
}

func same(t *testing.T, what string, have, want map[string]string) {
	t.Helper()
	for p, w := range want {
		if have[p] != w {
			t.Errorf("%s: %q is %q, not %q", what, p, have[p], w)
		}
	}
	for p := range have {
		if _, ok := want[p]; !ok {
			t.Errorf("%s: %q is there in addition", what, p)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sample brings the stack of the sample up, and takes it away with all its volumes when the test has ended.
func sample(t *testing.T) *stacktest.Stack {
	t.Helper()
	s, err := stacktest.New()
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		if err := s.Purge(background(t)); err != nil {
			t.Error(err)
		}
	})
	must(t, s.Up(t.Context()))
	return s
}

func background(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }
