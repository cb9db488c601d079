package backup

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// elsewhere are policies of the same volume with other repositories, to which things happen.
func (b *backups) elsewhere(t *testing.T) {
	gate := b.gate(t)
	down := b.another(t, "down", v1alpha1.BackupRepository{S3: &v1alpha1.S3Bucket{
		Endpoint: "http://" + nodeAddress + ":9", Bucket: "backups", Prefix: "down/", CredentialsSecretName: "s3",
	}})
	down.ends("RepositoryUnavailable")
	down.says(v1alpha1.ReasonBackupFailed, "connection refused")
	bucket := b.another(t, "bucket", v1alpha1.BackupRepository{S3: &v1alpha1.S3Bucket{
		Endpoint: gate.address, Bucket: "backups", Prefix: "bucket/", CredentialsSecretName: "s3",
	}})
	bucket.ends("")
	gate.denies.Store(true)
	bucket.ends("RepositoryUnavailable")
	bucket.says(v1alpha1.ReasonBackupFailed, "AccessDenied")
	gate.denies.Store(false)
	b.otherPassword(t, bucket)
	bucket.ends("")
	bucket.until("the policy to be ready without a hand", bucket.ready)
	b.lostDisk(t)
}

// otherPassword is one that the repository was not made with, until the right one is there again.
func (b *backups) otherPassword(t *testing.T, p *backups) {
	secret := p.name.Name + "-backup"
	right := b.kubectl("get", "secret", secret, "-o", "jsonpath={.data.password}")
	set := func(encoded string) {
		b.kubectl("patch", "secret", secret, "--type=merge", "--patch", fmt.Sprintf(`{"data": {"password": %q}}`, encoded))
	}
	set("YW5vdGhlcg==")
	p.ends("WrongPassword")
	p.says(v1alpha1.ReasonBackupFailed, "is encrypted by another password")
	set(right)
}

// lostDisk has a repository on a disk that fills, and that is not mounted for a while: nothing is made in its place.
func (b *backups) lostDisk(t *testing.T) {
	disk, folder := filepath.Join(b.Dir, "disk"), filepath.Join(b.Dir, "mounted")
	must(t, os.MkdirAll(disk, 0o755))
	must(t, os.MkdirAll(folder, 0o755))
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"))
	defer func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) }() // the sandbox ends with it
	there := func() { must(t, syscall.Mount(disk, folder, "", syscall.MS_BIND, "")) }
	there()
	defer func() { _ = syscall.Unmount(folder, syscall.MNT_DETACH) }()
	p := b.another(t, "disk", v1alpha1.BackupRepository{HostPath: folder})
	p.ends("")
	id := p.policy().Status.RepositoryID
	must(t, syscall.Unmount(folder, syscall.MNT_DETACH))
	p.ends("RepositoryMissing")
	p.says(v1alpha1.ReasonRepositoryMissing, "is its disk mounted?")
	if left, err := filepath.Glob(filepath.Join(folder, "*", "*.f")); err != nil || len(left) > 0 {
		t.Errorf("in place of the repository are %v (%v)", left, err)
	}
	there()
	p.ends("")
	if now := p.policy().Status.RepositoryID; id == "" || now != id {
		t.Errorf("the repository was %q, and is %q", id, now)
	}
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=16m"))
	b.random("does-not-fit", 24)
	p.ends("RepositoryFull")
	p.says(v1alpha1.ReasonBackupFailed, "no space left on device")
	must(t, os.Remove(filepath.Join(b.source(), "extra", "does-not-fit")))
	p.ends("")
	p.until("the policy to be ready again", p.ready)
}

// another policy of the same volume, with a repository of its own. It goes when the test has ended.
func (b *backups) another(t *testing.T, name string, repository v1alpha1.BackupRepository) *backups {
	t.Helper()
	p := &backups{Stack: b.Stack, t: t, name: types.NamespacedName{Namespace: b.name.Namespace, Name: name}}
	b.apply(&v1alpha1.BackupPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: "mockup.dev/v1alpha1", Kind: "BackupPolicy"}, ObjectMeta: metav1.ObjectMeta{Namespace: b.name.Namespace, Name: name},
		Spec: v1alpha1.BackupPolicySpec{StackRef: v1alpha1.StackRef{Name: "mockup"}, Volumes: []v1alpha1.VolumeName{"mime-storage"}, Repository: repository},
	})
	t.Cleanup(func() { b.kubectl("delete", "backup", name, "--wait=true", "--timeout=90s") })
	p.until("the policy to be ready", p.ready)
	return p
}

// ends a run with a reason; empty for one that succeeds.
func (b *backups) ends(reason string) {
	b.t.Helper()
	said, err := b.Mockup(b.t.Context(), "backup", "now", b.name.Name, "-o", "json")
	if h := b.policy().Status.History; (err == nil) != (reason == "") || len(h) == 0 || h[0].Reason != reason {
		b.t.Errorf("a run of %s should have ended with %q; it did with %v: %s", b.name.Name, reason, err, said)
	}
}

// says waits until the policy is not Ready, for a reason and in words.
func (b *backups) says(reason, words string) {
	b.t.Helper()
	b.until("the policy to say so", func() error {
		c := meta.FindStatusCondition(b.policy().Status.Conditions, v1alpha1.ConditionReady)
		if c.Status != metav1.ConditionFalse || c.Reason != reason || !strings.Contains(c.Message, words) {
			return fmt.Errorf("it says %s %s: %s", c.Status, c.Reason, c.Message)
		}
		return nil
	})
}

// gate is before the server of buckets, and denies what it is told to.
type gate struct {
	address string
	denies  atomic.Bool
}

func (b *backups) gate(t *testing.T) *gate {
	t.Helper()
	to, err := url.Parse(b.buckets)
	must(t, err)
	listener, err := net.Listen("tcp", nodeAddress+":0")
	must(t, err)
	g := &gate{address: "http://" + listener.Addr().String()}
	through := httputil.NewSingleHostReverseProxy(to)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.denies.Load() {
			through.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>AccessDenied</Message></Error>") // or it has hung up
	})}
	go func() { _ = server.Serve(listener) }() // until it is closed
	t.Cleanup(func() { _ = server.Close() })
	return g
}
