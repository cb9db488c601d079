package engine

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// inPlace restores the rig's volume itself.
func (r *rig) inPlace(id string, change func(*Config)) (Result, error) {
	return r.does("restore", func(c *Config) {
		c.Restore.InPlace = id
		if change != nil {
			change(c)
		}
	})
}

// spoil changes the volume in every way: contents, modes, types, links, names, and some more files.
func (r *rig) spoil() {
	r.t.Helper()
	at := func(name string) string { return filepath.Join(r.volume, name) }
	r.write("text/plain.txt", "changed")
	r.write("new/file", "not there before")
	r.Expect(os.MkdirAll(at("new/empty"), 0o755)).To(Succeed())
	r.Expect(os.RemoveAll(at("many/03"))).To(Succeed())
	r.Expect(os.Remove(at("link"))).To(Succeed())
	r.Expect(os.MkdirAll(at("link/is a folder now"), 0o700)).To(Succeed())
	r.Expect(os.RemoveAll(at("noise"))).To(Succeed())
	r.write("noise", "a file now")
	r.Expect(os.Remove(at("hard/second"))).To(Succeed())
	r.Expect(os.Chmod(at("modes"), 0o500)).To(Succeed())
	r.Expect(os.Rename(at("names"), at("renamed"))).To(Succeed())
	info, err := os.Stat(at("many/01/001"))
	r.Expect(err).NotTo(HaveOccurred())
	r.write("many/01/001", strings.Repeat("x", int(info.Size()))) // looks the same, and is not
	r.Expect(os.Chtimes(at("many/01/001"), info.ModTime(), info.ModTime())).To(Succeed())
}

func TestRestoreInPlace(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	want := snap(t, r.volume)
	backup := r.must("run", nil).Made[0].ID
	r.spoil()
	spoilt := snap(t, r.volume)

	result, err := r.inPlace("one", nil)
	r.Expect(err).NotTo(HaveOccurred())
	r.Expect(*result.InPlace).To(And(HaveField("Phase", PhaseSucceeded), HaveField("Snapshot", backup), HaveField("Safety", Not(BeEmpty()))))
	r.same(snap(t, r.volume), want)
	_, err = os.Lstat(filepath.Join(r.volume, "pipe"))
	r.Expect(err).NotTo(HaveOccurred(), "what no backup has was removed")

	// Called again, it says the same, and touches nothing.
	r.write("text/plain.txt", "the service goes on")
	again, err := r.inPlace("one", nil)
	r.Expect(err).NotTo(HaveOccurred())
	r.Expect(again.InPlace).To(Equal(result.InPlace))
	r.Expect(os.ReadFile(filepath.Join(r.volume, "text/plain.txt"))).To(BeEquivalentTo("the service goes on"))

	// The safety snapshot is restored by its ID, never as the newest.
	_, err = r.inPlace("newest", nil)
	r.Expect(err).NotTo(HaveOccurred())
	r.same(snap(t, r.volume), want)
	_, err = r.inPlace("undo", func(c *Config) { c.Restore.Snapshot = result.InPlace.Safety })
	r.Expect(err).NotTo(HaveOccurred())
	r.same(snap(t, r.volume), spoilt)
}

// What the policy does not back up is neither restored nor removed; paths are restored alone, and exactly.
func TestRestoreInPlaceOfAPart(t *testing.T) {
	r := newRig(t)
	r.config.Exclude = []string{"*.tmp", "/cache/"}
	for _, name := range []string{"a/1", "a/2", "b/1", "a/old.tmp", "cache/x", "swap"} {
		r.write(name, "at first")
	}
	r.must("run", nil)
	r.Expect(os.Remove(filepath.Join(r.volume, "swap"))).To(Succeed())
	for _, name := range []string{"a/1", "b/1", "a/3", "a/old.tmp", "cache/y", "gone/x", "left/x.tmp", "swap/x.tmp"} {
		r.write(name, "changed")
	}
	r.Expect(os.RemoveAll(filepath.Join(r.volume, "a/2"))).To(Succeed())
	r.Expect(unix.Mkfifo(filepath.Join(r.volume, "a/pipe"), 0o600)).To(Succeed())
	have := func() map[string]string {
		out := map[string]string{}
		r.Expect(filepath.WalkDir(r.volume, func(name string, d os.DirEntry, err error) error {
			if d.Type().IsRegular() {
				content, _ := os.ReadFile(name)
				out[relative(r.volume, name)] = string(content)
			}
			return err
		})).To(Succeed())
		return out
	}
	_, err := r.inPlace("paths", func(c *Config) { c.Restore.Paths = []string{"a"} })
	r.Expect(err).NotTo(HaveOccurred())
	r.Expect(have()).To(Equal(map[string]string{
		"a/1": "at first", "a/2": "at first", "a/old.tmp": "changed", "b/1": "changed",
		"cache/x": "at first", "cache/y": "changed", "gone/x": "changed", "left/x.tmp": "changed", "swap/x.tmp": "changed",
	}))
	before := snap(t, r.volume)
	all, err := r.inPlace("all", nil)
	r.Expect(err).NotTo(HaveOccurred())
	r.Expect(have()).To(Equal(map[string]string{
		"a/1": "at first", "a/2": "at first", "a/old.tmp": "changed", "b/1": "at first",
		"cache/x": "at first", "cache/y": "changed", "left/x.tmp": "changed", "swap": "at first",
	}))
	for name, there := range map[string]bool{"gone": false, "left": true, "a/pipe": true} {
		_, err := os.Lstat(filepath.Join(r.volume, name))
		r.Expect(err == nil).To(Equal(there), name)
	}
	// A folder with something excluded in it had to go for a file. The safety snapshot has it all the same.
	_, err = r.inPlace("undo", func(c *Config) { c.Restore.Snapshot = all.InPlace.Safety })
	r.Expect(err).NotTo(HaveOccurred())
	r.same(snap(t, r.volume), before)
}

// noise is content that does not get smaller, and is more than half of what is stored with it.
func noise(size int) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return string(b)
}

// flip a byte in the middle of each blob of contents that is not in before.
func (r *rig) flip(before []string) {
	r.t.Helper()
	known, flipped := map[string]bool{}, 0
	for _, b := range before {
		known[b] = true
	}
	for _, file := range r.blobs() {
		if known[file] || !strings.HasPrefix(blobID(r.config.Repository.Path, file), "p") {
			continue
		}
		content, err := os.ReadFile(file)
		r.Expect(err).NotTo(HaveOccurred())
		content[len(content)/2] ^= 1
		r.Expect(os.WriteFile(file, content, 0o600)).To(Succeed())
		flipped++
	}
	r.Expect(flipped).NotTo(BeZero(), "nothing was damaged")
}

// A restore that fails in its middle, for what it needs can't be read, leaves what was there before.
func TestRestoreInPlaceThatFailsIsRolledBack(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	r.must("run", nil)
	before := r.blobs()
	r.write("zz/damaged", noise(1<<20))
	r.must("run", nil)
	r.flip(before)
	r.write("zz/damaged", "another content")
	r.spoil()
	want := snap(t, r.volume)
	result, err := r.inPlace("one", nil)
	r.Expect(err).To(MatchError(ContainSubstring("is what it was before")))
	r.Expect(result.InPlace).To(HaveField("Phase", PhaseRolledBack))
	r.same(snap(t, r.volume), want)
	again, err := r.inPlace("one", nil)
	r.Expect(err).To(HaveOccurred())
	r.Expect(again.InPlace).To(Equal(result.InPlace))
	r.Expect(again.Reason).To(Equal(result.Reason))
}

// A safety snapshot that has contents in common with what is damaged is no safety: nothing is touched.
func TestRestoreInPlaceNeedsASafetySnapshotThatCanBeRead(t *testing.T) {
	r := newRig(t)
	r.write("first", "kept")
	r.must("run", nil)
	before := r.blobs()
	r.write("second", noise(1<<20))
	r.must("run", nil)
	r.flip(before)
	r.write("first", "changed")
	want := snap(t, r.volume)
	result, err := r.inPlace("one", nil)
	r.Expect(ReasonOf(err)).To(Equal(ReasonDamaged))
	r.Expect(result.InPlace).To(HaveField("Phase", PhaseFailed))
	r.same(snap(t, r.volume), want)
}

func TestRestoreInPlaceThatMakesNoSenseTouchesNothing(t *testing.T) {
	r := newRig(t)
	r.write("a", "a")
	r.must("run", nil)
	r.write("a", "b")
	want := snap(t, r.volume)
	for reason, change := range map[string]func(*Config){
		"no snapshot of volume":   func(c *Config) { c.Restore.Snapshot = "deadbeef" },
		"has none of the paths c": func(c *Config) { c.Restore.Paths = []string{"c"} },
	} {
		result, err := r.inPlace("x"+reason[:2], change)
		r.Expect(err).To(MatchError(ContainSubstring(reason)))
		r.Expect(result.InPlace).To(HaveField("Phase", PhaseFailed))
	}
	r.same(snap(t, r.volume), want)
	listed := r.must("list", nil)
	r.Expect(listed.Snapshots).To(HaveLen(1), "a safety snapshot was taken for nothing")
}

// Safety snapshots do not push backups out of their places, and the newest of them stays.
func TestRetentionOfSafetySnapshots(t *testing.T) {
	r := newRig(t).ticking()
	r.config.Retention.KeepLatest = 2
	var kept []string
	for i := range 3 {
		r.write("a", fmt.Sprint("content ", i))
		r.must("run", nil)
		r.clock = r.clock.Add(time.Hour)
		_, err := r.inPlace(fmt.Sprint("id", i), nil)
		r.Expect(err).NotTo(HaveOccurred())
		r.clock = r.clock.Add(time.Hour)
	}
	r.must("prune", nil)
	for _, s := range r.must("list", nil).Snapshots {
		kept = append(kept, strings.Join(s.Kept, ","))
	}
	r.Expect(kept).To(Equal([]string{"latest", "latest", "safety"}))
}

// A restore is killed at random moments, several times in a row, and told to roll back at last, or not. What comes out is what
// was backed up, or what was there before, and nothing else; the safety snapshot is never one of something half restored.
func TestKilledInPlaceAtAnyMoment(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t)
	for i := range 400 {
		r.write(fmt.Sprintf("files/%02d/%d", i%20, i), strings.Repeat(fmt.Sprint("at first ", i), 500))
	}
	want := snap(t, r.volume)
	r.must("run", nil)
	took, killed := 2*time.Second, 0
	for i := range kills(t) {
		for n := range 300 {
			r.write(fmt.Sprintf("files/%02d/%d", n%20, random.IntN(600)), fmt.Sprint("changed ", i, n))
		}
		r.Expect(os.RemoveAll(filepath.Join(r.volume, "files", fmt.Sprintf("%02d", random.IntN(20))))).To(Succeed())
		before := snap(t, r.volume)
		saved := r.config.Restore
		r.config.Restore.InPlace = fmt.Sprint("kill-", i)
		for range 3 {
			if r.killed("restore", time.Duration(random.Int64N(int64(took)))) {
				killed++
			}
		}
		r.config.Restore.RollBack = i%2 == 1
		start := time.Now()
		said, _ := r.process("restore").Output()
		took = max(time.Since(start), 200*time.Millisecond)
		r.config.Restore = saved
		switch phase := phaseIn(said); phase {
		case PhaseSucceeded:
			r.same(snap(t, r.volume), want)
		case PhaseRolledBack, PhaseFailed: // the latter when it was told to roll back before anything was touched
			r.same(snap(t, r.volume), before)
		default:
			t.Errorf("round %d ends as %q: %s", i, phase, said)
		}
		if t.Failed() {
			t.Fatalf("in round %d", i)
		}
	}
	if killed == 0 {
		t.Error("nothing was killed before its end: this has proven nothing")
	}
	t.Logf("%d of %d were killed before their end", killed, 3*kills(t))
	r.must("verify", func(c *Config) { c.Verify.Mode = VerifyFull })
}

// phaseIn the result that a process printed.
func phaseIn(said []byte) string {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	var last struct {
		Result struct{ InPlace InPlace }
	}
	if json.Unmarshal([]byte(lines[len(lines)-1]), &last) != nil {
		return ""
	}
	return last.Result.InPlace.Phase
}
