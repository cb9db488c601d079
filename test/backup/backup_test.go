package backup

import (
	"encoding/base64"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
	"mockup.dev/mockup/test/stacktest"
)

// nodeAddress is where pods on the sample's public network reach the host.
const nodeAddress = "172.18.0.1"

// TestBackups is one story, since a stack takes its time to come up.
func TestBackups(t *testing.T) {
	s := sample(t)
	b := &backups{Stack: s, t: t}
	b.prepare()
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"a run that is asked for", b.first}, {"the second run stores what changed", b.second},
		{"hooks", b.hooks}, {"the schedule fires", b.schedule}, {"a restore is identical", b.restore}, {"the list of files", b.browse},
		{"verification", b.verify}, {"an archive", b.export}, {"damage is named", b.damage}, {"a disk that is full", b.fullDisk}, {"kills at any moment", b.kills}, {"a copy in a bucket", b.serverOfBuckets},
		{"secrets stay secret", b.secrets},
	} {
		ok := t.Run(step.name, func(t *testing.T) {
			b.t = t
			step.do(t)
		})
		b.t = t
		if !ok {
			t.Fatalf("%s failed, and the rest builds on it; status:\n%s", step.name, b.status())
		}
	}
}

func (b *backups) status() string {
	text, err := yaml.Marshal(b.policy().Status)
	must(b.t, err)
	return string(text)
}

// prepare applies the sample's policy, with a copy on a disk of the host beside, and puts files of all kinds into the volume.
func (b *backups) prepare() {
	b.t.Helper()
	content, err := os.ReadFile(filepath.Join(b.Root(), "config", "samples", "backup.yaml"))
	must(b.t, err)
	policy := &v1alpha1.BackupPolicy{}
	must(b.t, yaml.UnmarshalStrict(content, policy))
	copies := filepath.Join(b.Dir, "copies")
	must(b.t, os.MkdirAll(copies, 0o755))
	policy.Spec.Copies = []v1alpha1.BackupCopy{{Name: "disk", HostPath: copies}}
	b.name = types.NamespacedName{Namespace: "default", Name: policy.Name}
	b.fill()
	b.apply(policy)
	b.until("the policy to be ready", b.ready)
	if name := b.policy().Status.PasswordSecret; name != "mime-storage-backup" {
		b.t.Errorf("the password is in Secret %q", name)
	}
}

func (b *backups) source() string { return b.volume("default-mockup-mime-storage") }

// backedUp is what the test's own part of the volume is like. The service goes on beside: it tries out its storage, and keeps
// a list of its files, which belongs to another moment.
func (b *backups) backedUp() map[string]string { return files(tree(b.t, b.source())) }

func files(tree map[string]string) map[string]string {
	maps.DeleteFunc(tree, func(p, _ string) bool { return p != "extra" && !strings.HasPrefix(p, "extra/") })
	return tree
}

func (b *backups) fill() {
	b.t.Helper()
	visitor, err := b.Visitor(b.t.Context())
	must(b.t, err)
	_, err = stacktest.Upload(b.t.Context(), visitor, "uploaded.txt", []byte("by a visitor"))
	must(b.t, err)
	root := b.source()
	write := func(name, content string) {
		must(b.t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		must(b.t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o640))
		must(b.t, os.Chown(filepath.Join(root, name), 65532, 65532))
	}
	write("extra/empty", "")
	write("extra/latin1-\xe9\xff", "odd name")
	write("extra/big", strings.Repeat("0123456789abcdef", 1<<18))
	for i := range 500 {
		write(fmt.Sprintf("extra/many/%03d", i), fmt.Sprint("file ", i))
	}
	must(b.t, os.Symlink("many/001", filepath.Join(root, "extra/link")))
	must(b.t, os.Link(filepath.Join(root, "extra/big"), filepath.Join(root, "extra/hard")))
	must(b.t, os.Chmod(filepath.Join(root, "extra/many/002"), 0o4755))
}

func (b *backups) first(t *testing.T) {
	out := b.does("backup", "now", "mime-storage")
	if !out.Succeeded || out.Files < 500 || out.NewBytes == 0 {
		t.Errorf("outcome %+v", out)
	}
	status := b.policy().Status
	if status.Snapshots != 1 || status.LastSuccess == nil || status.Size == "" || status.NextRun == nil {
		t.Errorf("status %+v", status)
	}
	b.until("the policy to be ready", b.ready)
	b.equalCopy(filepath.Join(b.Dir, "copies"))
}

// equalCopy compares a copy blob by blob with the repository. What locks the one is not part of it.
func (b *backups) equalCopy(other string) {
	b.t.Helper()
	repository := filepath.Join(b.volume("default-mime-storage-repository"), "kopia")
	compared := 0
	must(b.t, filepath.WalkDir(repository, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".f") {
			return err
		}
		rel, _ := filepath.Rel(repository, name)
		want, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		have, err := os.ReadFile(filepath.Join(other, rel))
		if err != nil || string(have) != string(want) {
			b.t.Errorf("blob %s of the copy differs (%v)", rel, err)
		}
		compared++
		return nil
	}))
	if compared < 5 {
		b.t.Errorf("only %d blobs were compared", compared)
	}
}

func (b *backups) second(t *testing.T) {
	before := b.policy().Status.Bytes
	must(t, os.WriteFile(filepath.Join(b.source(), "extra/new"), []byte("new"), 0o600))
	out := b.does("backup", "now")
	if out.NewBytes > 500_000 {
		t.Errorf("the second run stored %d bytes anew", out.NewBytes)
	}
	if after := b.policy().Status.Bytes; after-before > 1_000_000 {
		t.Errorf("the repository grew by %d bytes", after-before)
	}
}

// schedule gives the policy a time that comes within a minute.
func (b *backups) schedule(t *testing.T) {
	runs := func() (n int) {
		for _, o := range b.policy().Status.History {
			if o.Operation == v1alpha1.BackupRunNow && !strings.HasPrefix(o.ID, "c") {
				n++
			}
		}
		return n
	}
	b.patch(func(p *v1alpha1.BackupPolicy) { p.Spec.Schedule = &v1alpha1.BackupSchedule{Cron: "* * * * *"} })
	b.until("a scheduled run", func() error {
		if runs() == 0 {
			return fmt.Errorf("next at %v", b.policy().Status.NextRun)
		}
		return nil
	})
	b.patch(func(p *v1alpha1.BackupPolicy) { p.Spec.Schedule = &v1alpha1.BackupSchedule{Cron: "@daily"} })
	b.until("nothing to be done", func() error {
		if run := b.policy().Status.Run; run != nil {
			return fmt.Errorf("%s goes on", run.Operation)
		}
		return nil
	})
}

func (b *backups) patch(edit func(*v1alpha1.BackupPolicy)) {
	b.t.Helper()
	p := b.policy()
	before := p.DeepCopy()
	edit(p)
	must(b.t, b.API.Patch(b.t.Context(), p, client.MergeFrom(before)))
}

func (b *backups) restore(t *testing.T) {
	b.does("backup", "now")
	want := b.backedUp()
	for into, from := range map[string]string{"again": "", "from-the-copy": "disk"} {
		args := []string{"restore", "--into", into}
		if from != "" {
			args = append(args, "--from", from)
		}
		out := b.does(args...)
		if out.Volume != "mime-storage-"+into {
			t.Errorf("restored into %q", out.Volume)
		}
		same(t, into, files(tree(t, b.volume("default-mime-storage-"+into))), want)
	}
}

func (b *backups) browse(t *testing.T) {
	said, err := b.Mockup(t.Context(), "backup", "browse", "--path", "extra/many")
	must(t, err)
	if n := strings.Count(said, "extra/many/"); n != 500 {
		t.Errorf("%d files of 500 are listed:\n%.500s", n, said)
	}
	if !strings.Contains(said, "extra/many/499") {
		t.Error("the last file is missing")
	}
}

func (b *backups) verify(t *testing.T) {
	if out := b.does("backup", "verify", "--percent", "100"); !strings.HasPrefix(out.Coverage, "5") {
		t.Errorf("coverage %q", out.Coverage)
	}
	b.does("backup", "test")
	if b.policy().Status.LastVerified == nil {
		t.Error("it is not verified")
	}
}

func (b *backups) export(t *testing.T) {
	b.does("backup", "export")
	found, err := filepath.Glob(filepath.Join(b.volume("default-mime-storage-repository"), "archives", "mime-storage-backup-*_*.tar.gz"))
	must(t, err)
	if len(found) == 0 {
		t.Error("there is no archive")
	}
}

// damage takes a pack away: full verification names it, the policy is not ready, and the copy still has everything.
func (b *backups) damage(t *testing.T) {
	packs, err := filepath.Glob(filepath.Join(b.volume("default-mime-storage-repository"), "kopia", "p*", "*", "*.f"))
	must(t, err)
	if len(packs) == 0 {
		t.Fatal("there is no pack")
	}
	content, err := os.ReadFile(packs[0])
	must(t, err)
	must(t, os.Remove(packs[0]))
	said, err := b.Mockup(t.Context(), "backup", "verify", "--percent", "100")
	if err == nil || !strings.Contains(said+err.Error(), "is missing") {
		t.Errorf("verification says %v: %s", err, said)
	}
	b.until("the policy not to be ready", func() error {
		if b.ready() == nil {
			return fmt.Errorf("it is ready")
		}
		return nil
	})
	b.does("backup", "verify", "--percent", "100", "--from", "disk")
	must(t, os.WriteFile(packs[0], content, 0o600))
	b.does("backup", "verify", "--percent", "100")
	b.until("the policy to be ready again", b.ready)
}

// rounds of kills.
var rounds = flag.Int("rounds", 3, "how often something is killed")

// kills the program that makes the backup, the operator or the control plane, at random moments. What was backed up before
// is restored identical, the repository is well, the next run succeeds, and nothing goes on for ever.
func (b *backups) kills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range *rounds {
		content := make([]byte, 24<<20)
		for j := range content {
			content[j] = byte(random.Uint32())
		}
		must(t, os.WriteFile(filepath.Join(b.source(), "extra", fmt.Sprint("random-", i%3)), content, 0o640))
		token, victim := fmt.Sprintf("kill-%d-%d", seed, i), random.IntN(3)
		b.patch(func(p *v1alpha1.BackupPolicy) {
			p.Annotations = map[string]string{manifests.AnnotationBackupRequest: token}
		})
		time.Sleep(time.Duration(random.Int64N(int64(4 * time.Second))))
		t.Logf("round %d: killed %s", i, b.kill(victim))
		b.until("what was killed to come to an end", func() error {
			p := &v1alpha1.BackupPolicy{}
			if err := b.API.Get(t.Context(), b.name, p); err != nil {
				return err // the control plane is on its way back
			}
			if p.Status.HandledRequest != token || p.Status.Run != nil {
				return fmt.Errorf("handled %s, doing %+v", p.Status.HandledRequest, p.Status.Run)
			}
			return nil
		})
		b.does("backup", "now")
		b.does("backup", "verify", "--percent", "100")
		into := fmt.Sprint("after-kill-", i)
		want := b.backedUp()
		b.does("restore", "--into", into)
		same(t, into, files(tree(t, b.volume("default-mime-storage-"+into))), want)
	}
}

// kill one of three by SIGKILL, and say which.
func (b *backups) kill(victim int) string {
	b.t.Helper()
	if victim == 0 {
		// By its owner: there is one program at most.
		said, err := b.Podman(b.t.Context(), "ps", "--quiet", "--filter", "label=mockup.dev/component=backup")
		must(b.t, err)
		for _, id := range strings.Fields(said) {
			_, _ = b.Podman(b.t.Context(), "kill", "--signal", "KILL", id) // it may just have ended
		}
		return fmt.Sprintf("%d containers of the backup", len(strings.Fields(said)))
	}
	program := []string{"", stacktest.Operator, stacktest.ControlPlane}[victim]
	pid, err := b.PID(program)
	must(b.t, err)
	must(b.t, syscall.Kill(pid, syscall.SIGKILL))
	return program
}

// bucket starts a server of buckets that pods reach, and returns its address.
func (b *backups) bucket() string {
	b.t.Helper()
	program := filepath.Join(b.Dir, "testserver")
	build := exec.CommandContext(b.t.Context(), "go", "build", "-C", filepath.Join(b.Root(), "backup"), "-o", program, "./testserver")
	build.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		b.t.Fatalf("building the server of buckets: %v: %s", err, said)
	}
	const address = nodeAddress + ":9123"
	server := exec.Command(program, address)
	must(b.t, server.Start())
	b.t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
	})
	b.until("the server of buckets", func() error {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return "http://" + address
}

// serverOfBuckets adds a copy in a bucket: it comes to have every blob, and all is restored from it alone.
func (b *backups) serverOfBuckets(t *testing.T) {
	endpoint := b.bucket()
	b.kubectl("create", "secret", "generic", "s3", "--from-literal=access-key=AKIDEXAMPLE", "--from-literal=secret-key="+secretKey)
	b.patch(func(p *v1alpha1.BackupPolicy) {
		p.Spec.Copies = append(p.Spec.Copies, v1alpha1.BackupCopy{Name: "offsite", S3: &v1alpha1.S3Bucket{
			Endpoint: endpoint, Bucket: "backups", Prefix: "mockup/", CredentialsSecretName: "s3",
		}})
	})
	b.does("backup", "now")
	b.does("backup", "verify", "--percent", "100", "--from", "offsite")
	want := b.backedUp()
	b.does("restore", "--into", "from-the-bucket", "--from", "offsite")
	same(t, "from the bucket", files(tree(t, b.volume("default-mime-storage-from-the-bucket"))), want)
}

// secretKey is looked for wherever it must not be.
const secretKey = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"

// secrets are neither in a status, an event nor a log.
func (b *backups) secrets(t *testing.T) {
	password := b.kubectl("get", "secret", "mime-storage-backup", "-o", "jsonpath={.data.password}")
	plain, err := base64.StdEncoding.DecodeString(password)
	must(t, err)
	places := map[string]string{
		"policy": b.kubectl("get", "backuppolicies", "-o", "yaml"), "events": b.kubectl("get", "events", "-o", "yaml"),
		"config maps": b.kubectl("get", "configmaps", "-o", "yaml"), "logs": b.Logs(),
	}
	for where, text := range places {
		for _, secret := range []string{secretKey, string(plain), password} {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in %s", where)
			}
		}
	}
}
