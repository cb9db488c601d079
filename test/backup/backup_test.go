package backup

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/stacktest"
)

// nodeAddress is where pods on the sample's public network reach the host.
const nodeAddress = "172.18.0.1"

// TestBackups is one story, since a stack takes its time to come up.
func TestBackups(t *testing.T) {
	s := sample(t)
	b := &backups{Stack: s, t: t, whole: t}
	b.prepare()
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"a run that is asked for", b.first}, {"the second run stores what changed", b.second},
		{"hooks", b.hooks}, {"the schedule fires", b.schedule}, {"a restore is identical", b.restore}, {"the list of files", b.browse},
		{"verification", b.verify}, {"an archive", b.export}, {"damage is named", b.damage}, {"a disk that is full", b.fullDisk}, {"kills at any moment", b.kills}, {"a copy in a bucket", b.serverOfBuckets},
		{"Kopia's own command line", b.ownCommandLine}, {"while it runs", b.during}, {"a deadline", b.late}, {"files that are being written", b.written}, {"figures", b.figures},
		{"repositories elsewhere", b.elsewhere}, {"secrets stay secret", b.secrets}, {"the stack goes", b.withoutTheStack},
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
	before := runs() // of those that others have asked for
	b.patch(func(p *v1alpha1.BackupPolicy) {
		p.Spec.Schedule, p.Spec.HistoryLimit = &v1alpha1.BackupSchedule{Cron: "* * * * *"}, 50
	})
	b.until("a scheduled run", func() error {
		if runs() == before {
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
	must(t, os.WriteFile(filepath.Join(b.volume("default-mime-storage-again"), "somebody's"), nil, 0o600))
	said, err := b.Mockup(t.Context(), "restore", "--into", "again")
	if err == nil || !strings.Contains(said+err.Error(), "VolumeNotEmpty") {
		t.Errorf("it was restored into a volume with something in it: %v: %s", err, said)
	}
	said, err = b.Mockup(t.Context(), "restore", "--into", "repository")
	if err == nil || !strings.Contains(said+err.Error(), "is the volume of the repository") {
		t.Errorf("it was restored into the repository: %v: %s", err, said)
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
	said, err = b.Mockup(t.Context(), "backup", "browse", "--snapshot", "nosuch", "-o", "json")
	var outcome v1alpha1.BackupOutcome
	if err == nil || json.Unmarshal([]byte(said), &outcome) != nil || outcome.Succeeded || outcome.Reason != "SnapshotMissing" {
		t.Errorf("of a snapshot that is not there it says %v: %s", err, said)
	}
}

func (b *backups) verify(t *testing.T) {
	if out := b.does("backup", "verify", "--percent", "100"); !strings.HasPrefix(out.Coverage, "5") {
		t.Errorf("coverage %q", out.Coverage)
	}
	if b.policy().Status.LastVerified == nil {
		t.Error("it is not verified")
	}
	failed := make(chan error, 4)
	for i := range cap(failed) { // at once, and none replaces another
		args := []string{"backup", []string{"test", "verify"}[min(i, 1)], "--timeout", "90s"}
		go func() {
			_, err := b.Mockup(t.Context(), args...)
			failed <- err
		}()
	}
	for range cap(failed) {
		must(t, <-failed)
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

// damage is named by its blob and stays known, whatever looks at less; the copy still has everything, and nothing is removed.
func (b *backups) damage(t *testing.T) {
	repository := filepath.Join(b.volume("default-mime-storage-repository"), "kopia")
	packs, err := filepath.Glob(filepath.Join(repository, "p*", "*", "*.f"))
	must(t, err)
	if len(packs) == 0 {
		t.Fatal("there is no pack")
	}
	size := func(name string) int64 { // of the largest, of which a snapshot needs something
		info, err := os.Stat(name)
		must(t, err)
		return info.Size()
	}
	slices.SortFunc(packs, func(a, b string) int { return cmp.Compare(size(b), size(a)) })
	name, _ := filepath.Rel(repository, packs[0])
	id := strings.TrimSuffix(strings.ReplaceAll(name, "/", ""), ".f")
	content, err := os.ReadFile(packs[0])
	must(t, err)
	flipped := slices.Clone(content)
	for i := range flipped {
		flipped[i] ^= 1
	}
	for how, spoil := range map[string]func() error{
		"is missing": func() error { return os.Remove(packs[0]) }, "it is not what was stored": func() error { return os.WriteFile(packs[0], flipped, 0o600) },
	} {
		must(t, spoil())
		said, err := b.Mockup(t.Context(), "backup", "verify", "--percent", "100")
		if err == nil || !strings.Contains(said+err.Error(), id) {
			t.Errorf("%s: verification does not name %s: %v: %s", how, id, err, said)
		}
		b.says(v1alpha1.ReasonVerificationFailed, id)
		must(t, os.WriteFile(packs[0], content, 0o600))
	}
	before, err := filepath.Glob(filepath.Join(repository, "*", "*", "*.f"))
	must(t, err)
	b.does("backup", "verify") // all is there again; nobody has read it
	b.patch(func(p *v1alpha1.BackupPolicy) { p.Spec.Retention = &v1alpha1.BackupRetention{KeepLatest: 1} })
	snapshots := b.policy().Status.Snapshots
	b.does("backup", "now")
	b.says(v1alpha1.ReasonVerificationFailed, id)
	if now := b.policy().Status.Snapshots; now != snapshots+1 {
		t.Errorf("of %d snapshots and a new one there are %d: some were removed while damage was known", snapshots, now)
	}
	for _, blob := range before {
		if _, err := os.Stat(blob); err != nil && strings.Contains(blob, "/p") {
			t.Errorf("%v: it was removed while damage was known", err)
		}
	}
	b.patch(func(p *v1alpha1.BackupPolicy) { p.Spec.Retention = nil })
	b.does("backup", "verify", "--percent", "100", "--from", "disk")
	b.says(v1alpha1.ReasonVerificationFailed, id)
	b.does("backup", "verify", "--percent", "100")
	b.until("the policy to be ready again", b.ready)
}

// rounds of kills.
var rounds = flag.Int("rounds", 3, "how often something is killed")

// kills the program that makes the backup, the operator and the control plane in turn, at random moments. What was backed up before
// is restored identical, the repository is well, the next run succeeds, and nothing goes on for ever.
func (b *backups) kills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b.patch(func(p *v1alpha1.BackupPolicy) { p.Spec.Retention = &v1alpha1.BackupRetention{KeepLatest: 1000} })
	b.does("backup", "now")
	old, wantOld := b.newest().ID, b.backedUp()
	for i := range *rounds {
		b.struck(t, random, i)
		b.does("backup", "now")
		b.does("backup", "verify", "--percent", "100")
		want := b.backedUp()
		for into, c := range map[string]struct {
			snapshot []string
			want     map[string]string
		}{"after-kill": {nil, want}, "from-before-kill": {[]string{"--snapshot", old}, wantOld}} {
			into = fmt.Sprint(into, "-", i)
			b.does(append([]string{"restore", "--into", into}, c.snapshot...)...)
			same(t, into, files(tree(t, b.volume("default-mime-storage-"+into))), c.want)
			b.until("nobody holds the volume that was restored", func() error { // its pod leaves after the end is told
				_, err := b.Podman(t.Context(), "volume", "rm", "default-mime-storage-"+into)
				return err
			})
		}
	}
	large, err := filepath.Glob(filepath.Join(b.source(), "extra", "random-*")) // which take long to be read later
	must(t, err)
	for _, name := range large {
		must(t, os.Remove(name))
	}
}

// struck has a run begin and something killed in it; of the program itself, until one was really hit.
func (b *backups) struck(t *testing.T, random *rand.Rand, round int) {
	size, longest := 24, 4*time.Second
	if round%3 == 0 { // of the program itself, which is done in less than a second
		size, longest = 96, 600*time.Millisecond
	}
	for attempt := range 20 {
		b.random(fmt.Sprint("random-", round%3), size)
		token := fmt.Sprintf("kill-%d-%d-%d", time.Now().UnixNano(), round, attempt)
		b.asks(token)
		if round%3 == 0 {
			b.awaitProgram()
		}
		time.Sleep(time.Duration(random.Int64N(int64(longest))))
		victim, hit := b.kill(round % 3)
		t.Logf("round %d: killed %s", round, victim)
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
		if hit && (round%3 != 0 || !b.policy().Status.History[0].Succeeded) {
			return
		}
	}
	t.Errorf("round %d: nothing was hit", round)
}

// kill one of three by SIGKILL, and say which, and whether there was something to be killed.
func (b *backups) kill(victim int) (what string, hit bool) {
	b.t.Helper()
	if victim == 0 {
		// By its owner: there is one program at most.
		said, err := b.Podman(b.t.Context(), "ps", "--quiet", "--filter", "label=mockup.dev/component=backup")
		must(b.t, err)
		for _, id := range strings.Fields(said) {
			_, err := b.Podman(b.t.Context(), "kill", "--signal", "KILL", id)
			hit = hit || err == nil // else it has just ended
		}
		return fmt.Sprintf("%d containers of the backup", len(strings.Fields(said))), hit
	}
	program := []string{"", stacktest.Operator, stacktest.ControlPlane}[victim]
	pid, err := b.PID(program)
	must(b.t, err)
	must(b.t, syscall.Kill(pid, syscall.SIGKILL))
	return program, true
}

// bucket starts a server of buckets that pods reach, until the whole test has ended, and returns its address.
func (b *backups) bucket(whole *testing.T) string {
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
	whole.Cleanup(func() {
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
	b.buckets = b.bucket(b.whole)
	b.kubectl("create", "secret", "generic", "s3", "--from-literal=access-key=AKIDEXAMPLE", "--from-literal=secret-key="+secretKey)
	b.patch(func(p *v1alpha1.BackupPolicy) {
		p.Spec.Copies = append(p.Spec.Copies, v1alpha1.BackupCopy{Name: "offsite", S3: &v1alpha1.S3Bucket{
			Endpoint: b.buckets, Bucket: "backups", Prefix: "mockup/", CredentialsSecretName: "s3",
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
	words := b.words()
	places := map[string]string{
		"policy": b.kubectl("get", "backuppolicies", "-o", "yaml"), "events": b.kubectl("get", "events", "-o", "yaml"),
		"config maps": b.kubectl("get", "configmaps", "-o", "yaml"), "logs": b.Logs(),
	}
	for where, text := range places {
		for _, secret := range words {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in %s", where)
			}
		}
	}
}

// withoutTheStack the policy says so, and everything that was kept is.
func (b *backups) withoutTheStack(t *testing.T) {
	want := b.backedUp()
	_, err := b.Delete(t.Context())
	must(t, err)
	b.says(v1alpha1.ReasonStackNotFound, "there is no MockupStack mockup")
	same(t, "the volume without its stack", b.backedUp(), want)
	b.equalCopy(filepath.Join(b.Dir, "copies"))
	b.volume("default-mime-storage-again")
	if words := b.words(); words[2] == "" {
		t.Error("the password is gone")
	}
}
