package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
	"mockup.dev/mockup/test/stacktest"
)

// TestRestoreInPlace is another story: a volume is restored into itself, while nobody else mounts it.
func TestRestoreInPlace(t *testing.T) {
	s := sample(t)
	p := &inPlace{backups: &backups{Stack: s, t: t}}
	_, err := s.Podman(t.Context(), "volume", "rm", "--force", "default-mime-storage-repository") // another test's, which nothing takes away
	must(t, err)
	p.prepare()
	p.does("backup", "now")
	watch := p.guard()
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"a tree is what it was when it was backed up", p.succeeds}, {"and again what it was before that", p.undone},
		{"what can't be read is rolled back", p.fails}, {"kills in the middle", p.kills}, {"the stack goes in the middle", p.withoutStack},
		{"the policy goes in the middle", p.withoutPolicy},
	} {
		ok := t.Run(step.name, func(t *testing.T) {
			p.t = t
			step.do(t)
		})
		p.t = t
		if !ok {
			t.Fatalf("%s failed, and the rest builds on it; %s", step.name, p.state())
		}
	}
	watch(t)
}

type inPlace struct {
	*backups
	// saved is the tree of the newest backup, spoilt the one that the first restore replaced.
	saved, spoilt map[string]string
}

func (p *inPlace) state() string {
	said, err := p.Mockup(background(p.t), "status")
	return fmt.Sprintf("status (%v):\n%s", err, said)
}

// guard looks all the time whether a container restores the volume while another one mounts it. What it returns ends that, and
// fails unless there was something to be seen.
func (p *inPlace) guard() func(*testing.T) {
	ctx, cancel := context.WithCancel(background(p.t))
	var mu sync.Mutex
	together, alone := []string{}, 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			said, err := p.Podman(ctx, "ps", "--format", `{{.Names}}`)
			names := strings.Fields(said)
			restoring := slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "-restore-") && strings.HasSuffix(n, "backup") })
			serving := slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, "-mime-server") })
			mu.Lock()
			switch {
			case err != nil || !restoring:
			case serving:
				together = names
			default:
				alone++
			}
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return func(t *testing.T) {
		cancel()
		<-done
		if len(together) > 0 {
			t.Errorf("the volume was served while it was restored: %v", together)
		}
		if alone < 20 {
			t.Errorf("a restore was seen %d times only: this has proven nothing", alone)
		}
		t.Logf("seen %d times while it restored", alone)
	}
}

// spoil changes what was backed up, and puts other things beside.
func (p *inPlace) spoil() {
	p.t.Helper()
	at := func(name string) string { return filepath.Join(p.source(), "extra", name) }
	must(p.t, os.WriteFile(at("big"), []byte("overwritten"), 0o600))
	must(p.t, os.WriteFile(at("more"), []byte("not in the backup"), 0o600))
	must(p.t, os.RemoveAll(at("many")))
	must(p.t, os.MkdirAll(at("many/other"), 0o700))
	must(p.t, os.RemoveAll(at("link")))
	must(p.t, os.Chmod(at("empty"), 0o777))
	must(p.t, os.Rename(at("latin1-\xe9\xff"), at(fmt.Sprint("renamed-", rand.Uint32()))))
}

// serves waits until the stack is ready again, and downloads what was uploaded before all.
func (p *inPlace) serves() {
	p.t.Helper()
	start := time.Now()
	if r := p.policy().Status.Restore; r != nil && r.EndedAt != nil {
		defer func() {
			p.t.Logf("%s: restored within %s, served again after %s", r.ID, r.EndedAt.Sub(r.StartedAt.Time), time.Since(start).Round(time.Second))
		}()
	}
	p.served()
}

func (p *inPlace) served() {
	p.t.Helper()
	p.until("the stack to be ready again", func() error {
		s, err := p.Get(p.t.Context())
		if err == nil && !stacktest.Ready(s) {
			err = fmt.Errorf("%s", stacktest.Describe(s))
		}
		return err
	})
	visitor, err := p.Visitor(p.t.Context())
	must(p.t, err)
	want := sha256.Sum256([]byte("by a visitor"))
	p.until("the file to be served", func() error {
		have, err := stacktest.SHA256(p.t.Context(), visitor, "uploaded.txt")
		if err == nil && have != hex.EncodeToString(want[:]) {
			err = fmt.Errorf("its digest is %s", have)
		}
		return err
	})
}

func (p *inPlace) restored() *v1alpha1.InPlaceRestore {
	p.t.Helper()
	r := p.policy().Status.Restore
	if r == nil {
		p.t.Fatal("nothing is restored in place")
	}
	return r
}

func (p *inPlace) succeeds(t *testing.T) {
	p.saved = p.backedUp()
	p.spoil()
	p.spoilt = p.backedUp()
	out := p.does("restore", "--in-place", "--yes")
	if !out.InPlace || out.Volume != "mockup-mime-storage" || out.SafetySnapshot == "" {
		t.Errorf("outcome %+v", out)
	}
	if r := p.restored(); r.Phase != v1alpha1.RestoreSucceeded || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
	p.serves()
	same(t, "restored", p.backedUp(), p.saved)
	p.until("the policy to be ready", p.ready)
	events := p.kubectl("get", "events", "-o", "jsonpath={range .items[*]}{.involvedObject.kind} {.reason}{\"\\n\"}{end}")
	for _, want := range []string{"MockupStack RestoreInProgress", "BackupPolicy RestoreInProgress", "BackupPolicy BackupDone"} {
		if !strings.Contains(events, want) {
			t.Errorf("no event %q in\n%s", want, events)
		}
	}
}

func (p *inPlace) undone(t *testing.T) {
	p.does("restore", "--in-place", "--yes", "--snapshot", p.restored().SafetySnapshot)
	p.serves()
	same(t, "the safety snapshot", p.backedUp(), p.spoilt)
	p.does("restore", "--in-place", "--yes", "--path", "extra/many")
	p.serves()
	below := func(tree map[string]string) map[string]string {
		maps.DeleteFunc(tree, func(name, _ string) bool { return !strings.HasPrefix(name, "extra/many") })
		return tree
	}
	same(t, "the path", below(p.backedUp()), below(maps.Clone(p.saved)))
	if _, err := os.Stat(filepath.Join(p.source(), "extra/more")); err != nil {
		t.Error("what is not below the path was touched")
	}
	p.does("restore", "--in-place", "--yes")
	p.serves()
	same(t, "the newest backup, which is no safety snapshot", p.backedUp(), p.saved)
}

func (p *inPlace) packs() []string {
	p.t.Helper()
	found, err := filepath.Glob(filepath.Join(p.volume("default-mime-storage-repository"), "kopia", "p*", "*", "*.f"))
	must(p.t, err)
	return found
}

// fails to restore a file that comes late, and whose content is damaged: half of the tree has been restored by then.
func (p *inPlace) fails(t *testing.T) {
	before := p.packs()
	p.random("zz-damaged", 4)
	p.does("backup", "now")
	p.saved = p.backedUp()
	mended := map[string][]byte{}
	for _, pack := range p.packs() {
		if slices.Contains(before, pack) {
			continue
		}
		content, err := os.ReadFile(pack)
		must(t, err)
		mended[pack] = slices.Clone(content)
		content[len(content)/2] ^= 1
		must(t, os.WriteFile(pack, content, 0o600))
	}
	if len(mended) == 0 {
		t.Fatal("nothing was damaged")
	}
	p.random("zz-damaged", 1)
	p.spoil()
	want := p.backedUp()
	said, err := p.Mockup(t.Context(), "restore", "--in-place", "--yes")
	if err == nil || !strings.Contains(said+err.Error(), "is what it was before") {
		t.Errorf("it says %v: %s", err, said)
	}
	if r := p.restored(); r.Phase != v1alpha1.RestoreRolledBack || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
	p.serves()
	same(t, "rolled back", p.backedUp(), want)
	if c := meta.FindStatusCondition(p.policy().Status.Conditions, v1alpha1.ConditionReady); c == nil || c.Reason != v1alpha1.ReasonVerificationFailed || !strings.Contains(c.Message, "is what it was before") {
		t.Errorf("condition %+v", c)
	}
	for pack, content := range mended {
		must(t, os.WriteFile(pack, content, 0o600))
	}
	p.does("backup", "verify", "--percent", "100")
	p.until("the policy to be ready again", p.ready)
	p.does("restore", "--in-place", "--yes")
	p.serves()
	same(t, "when it had been mended", p.backedUp(), p.saved)
}

// begin a restore in place that takes some seconds, and wait for its first attempt. It returns the token of the request.
func (p *inPlace) begin(id string) {
	p.t.Helper()
	p.until("nothing to be done", func() error {
		if run := p.policy().Status.Run; run != nil {
			return fmt.Errorf("%s goes on", run.Operation)
		}
		return nil
	})
	p.patch(func(policy *v1alpha1.BackupPolicy) {
		policy.Annotations = map[string]string{
			manifests.AnnotationBackupRequest: fmt.Sprintf(`{"id":%q,"operation":"restore","volume":"mime-storage","inPlace":true}`, id),
		}
	})
	p.until("the first attempt", func() error {
		if r := p.policy().Status.Restore; r == nil || r.ID != id || r.Attempts == 0 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
}

// ends waits for the end of a restore in place. The control plane may be on its way back.
func (p *inPlace) ends(id string) (end v1alpha1.InPlaceRestore) {
	p.t.Helper()
	p.until("the end of the restore", func() error {
		now := &v1alpha1.BackupPolicy{}
		if err := p.API.Get(p.t.Context(), p.name, now); err != nil {
			return err
		}
		r := now.Status.Restore
		if r == nil || r.ID != id || !r.Phase.Over() || now.Status.Run != nil {
			return fmt.Errorf("%+v", r)
		}
		end = *r
		return nil
	})
	return end
}

// slowly stores and reads, so that there is a middle.
func (p *inPlace) slowly() {
	p.t.Helper()
	p.random("slow", 32)
	p.does("backup", "now")
	p.saved = p.backedUp()
	limit := resource.MustParse("8Mi")
	p.patch(func(policy *v1alpha1.BackupPolicy) { policy.Spec.Bandwidth = &limit })
}

// kills the container that restores, the operator and the control plane.
func (p *inPlace) kills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p.slowly()
	for i := range *rounds {
		p.spoil()
		p.random("slow", 16)
		id := fmt.Sprint("kill-", i)
		p.begin(id)
		p.awaitProgram()
		time.Sleep(time.Duration(random.Int64N(int64(4 * time.Second))))
		during := p.restored().Phase
		victim, hit := p.kill(i % 3)
		t.Logf("round %d: killed %s during %s", i, victim, during)
		if !hit {
			t.Errorf("round %d: nothing was hit", i)
		}
		end := p.ends(id)
		t.Logf("round %d: %s after %d attempts", i, end.Phase, end.Attempts)
		if end.Phase != v1alpha1.RestoreSucceeded {
			t.Errorf("round %d: %+v", i, end)
		}
		p.serves()
		same(t, id, p.backedUp(), p.saved)
	}
}

func (p *inPlace) withoutStack(t *testing.T) {
	p.spoil()
	p.random("slow", 16)
	p.begin("phoenix")
	_, err := p.Delete(t.Context())
	must(t, err)
	took, err := p.ApplyUntilReady(t.Context())
	must(t, err)
	t.Logf("ready again after %s", took.Round(time.Second))
	if end := p.ends("phoenix"); end.Phase != v1alpha1.RestoreSucceeded || end.Attempts < 2 {
		t.Errorf("%+v", end)
	}
	p.serves()
	same(t, "with the stack that came back", p.backedUp(), p.saved)
}

func (p *inPlace) withoutPolicy(t *testing.T) {
	p.spoil()
	p.random("slow", 16)
	p.begin("farewell")
	p.kubectl("delete", "backup", p.name.Name, "--wait=true", "--timeout=120s")
	p.served()
	same(t, "before the policy went", p.backedUp(), p.saved)
}
