package engine

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// Every blob is truncated, flipped and removed. Whether it is needed is found out without verification: by restoring.
func TestFullVerificationNamesDamagedBlobs(t *testing.T) {
	r := newRig(t).ticking()
	r.write("a", strings.Repeat("first ", 100))
	r.write("folder/b", "b")
	r.must("run", nil)
	r.clock = r.clock.Add(time.Hour)
	r.write("a", strings.Repeat("second ", 100))
	r.must("run", nil)
	found := r.must("verify", func(c *Config) { c.Verify.Mode = VerifyFull })
	r.Expect(found.Verification.BytesRead).To(Equal(found.Verification.Bytes))
	r.Expect(found.Verification.Snapshots).To(Equal(2))

	blobs := r.blobs()
	needed := 0
	for _, file := range blobs {
		for how, harm := range map[string]func(string, []byte) error{
			"truncated": func(f string, b []byte) error { return os.WriteFile(f, b[:len(b)/2], 0o600) },
			"flipped": func(f string, b []byte) error {
				b[len(b)/3] ^= 0x10
				return os.WriteFile(f, b, 0o600)
			},
			"emptied": func(f string, _ []byte) error { return os.WriteFile(f, nil, 0o600) },
			"removed": func(f string, _ []byte) error { return os.Remove(f) },
		} {
			whole, err := os.ReadFile(file)
			r.Expect(err).NotTo(HaveOccurred())
			r.Expect(harm(file, append([]byte{}, whole...))).To(Succeed())
			id := blobID(r.config.Repository.Path, file)
			if r.lost() {
				needed++
				result, err := r.does("verify", func(c *Config) { c.Verify.Mode = VerifyFull })
				r.Expect(err).To(HaveOccurred(), "%s %s", id, how)
				r.Expect(result.Reason).To(Equal(ReasonDamaged), "%s %s: %s", id, how, result.Error)
				r.Expect(asJSON(result)).To(ContainSubstring(id), "%s %s", id, how)
			}
			r.Expect(os.WriteFile(file, whole, 0o600)).To(Succeed())
		}
	}
	r.Expect(needed).To(BeNumerically(">", 8), "of %d blobs too few are needed for this to prove anything", len(blobs))
	r.must("verify", func(c *Config) { c.Verify.Mode = VerifyFull })
}

func (r *rig) blobs() []string {
	var out []string
	r.Expect(filepath.WalkDir(r.config.Repository.Path, func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".f") {
			out = append(out, name)
		}
		return err
	})).To(Succeed())
	return out
}

// blobID of a file, whose folders have parts of it for names.
func blobID(root, file string) string {
	rel, _ := filepath.Rel(root, file)
	return strings.ReplaceAll(strings.TrimSuffix(rel, ".f"), "/", "")
}

// lost tells whether some snapshot can't be restored as it was.
func (r *rig) lost() bool {
	listed, err := r.does("list", nil)
	if err != nil || len(listed.Snapshots) < 2 {
		return true
	}
	for _, s := range listed.Snapshots {
		target := r.t.TempDir()
		result, err := r.does("restore", func(c *Config) {
			c.Volumes = []Volume{{Name: "mime-storage", Path: target}}
			c.Restore.Snapshot = s.ID
		})
		if err != nil || !result.Restored[0].Compared {
			return true
		}
	}
	return false
}

func TestSampleStatesItsCoverage(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	r.must("run", nil)
	some := r.must("verify", func(c *Config) { c.Verify = Verify{Mode: VerifySample, Percent: 50} }).Verification
	r.Expect(some.FilesRead).To(And(BeNumerically(">", some.Files/4), BeNumerically("<", some.Files*3/4)))
	all := r.must("verify", func(c *Config) { c.Verify = Verify{Mode: VerifySample, Percent: 100} }).Verification
	r.Expect(all.FilesRead).To(Equal(all.Files))
	r.Expect(all.BytesRead).To(Equal(all.Bytes))
	none := r.must("verify", nil).Verification
	r.Expect(none.FilesRead).To(BeZero())
	r.Expect(none.Mode).To(Equal(VerifyQuick))
}

func TestWhatIsDamagedIsNotPruned(t *testing.T) {
	r := newRig(t).ticking()
	for range 3 {
		r.write("a", strings.Repeat(r.clock.String(), 100))
		r.must("run", nil)
		r.clock = r.clock.Add(time.Hour)
	}
	var packs []string
	for _, file := range r.blobs() {
		if strings.HasPrefix(blobID(r.config.Repository.Path, file), "p") {
			packs = append(packs, file)
		}
	}
	for _, file := range packs {
		r.Expect(os.Remove(file)).To(Succeed())
	}
	few := func(c *Config) { c.Retention.KeepLatest = 1 }
	for _, operation := range []string{"prune", "run"} {
		result, err := r.does(operation, few)
		r.Expect(ReasonOf(err)).To(Equal(ReasonDamaged), operation)
		r.Expect(result.Pruned).To(BeNil(), operation)
	}
	listed := r.must("list", nil)
	r.Expect(len(listed.Snapshots)).To(BeNumerically(">=", 3))
}

func TestOldSnapshotsArePruned(t *testing.T) {
	r := newRig(t).ticking()
	for i := range 4 {
		r.write("a", strings.Repeat(r.clock.String(), 100))
		made := r.must("run", func(c *Config) { c.Retention.KeepLatest = 2 })
		r.Expect(made.Snapshots).To(HaveLen(min(i+1, 2)))
		r.clock = r.clock.Add(time.Hour)
	}
	r.must("verify", func(c *Config) { c.Verify.Mode = VerifyFull })
	pruned := r.must("prune", func(c *Config) { c.Retention.KeepLatest = 1 })
	r.Expect(pruned.Pruned.Snapshots).To(HaveLen(1))
	r.Expect(pruned.Snapshots).To(HaveLen(1))
	r.same(snap(t, r.restored(nil)), snap(t, r.volume))
}

func TestWrongPasswordsAndPlaces(t *testing.T) {
	r := newRig(t)
	r.write("a", "a")
	_, err := r.does("list", nil)
	r.Expect(ReasonOf(err)).To(Equal(ReasonNoRepository))
	r.must("run", nil)
	wrong := filepath.Join(t.TempDir(), "wrong")
	r.Expect(os.WriteFile(wrong, []byte("incorrect horse"), 0o600)).To(Succeed())
	for _, operation := range []string{"run", "list", "verify", "prune"} {
		result, err := r.does(operation, func(c *Config) { c.PasswordFile = wrong })
		r.Expect(ReasonOf(err)).To(Equal(ReasonPassword), operation)
		r.Expect(asJSON(result)).NotTo(ContainSubstring("horse"))
	}
	_, err = r.does("run", func(c *Config) { c.Volumes = []Volume{{Name: "mime-storage", Path: filepath.Join(r.volume, "no")}} })
	r.Expect(ReasonOf(err)).To(Equal(ReasonSource))
	unlock, err := r.config.Repository.lock(false)
	r.Expect(err).NotTo(HaveOccurred())
	_, err = r.does("run", nil)
	r.Expect(ReasonOf(err)).To(Equal(ReasonBusy))
	unlock()
	r.must("run", nil)
}

// A flipped bit is not seen by the check of a run, which reads no contents. Who has found it by other means says so, and then
// nothing is removed.
func TestNothingIsPrunedWhileThereIsDoubt(t *testing.T) {
	r := newRig(t).ticking()
	copied := filepath.Join(t.TempDir(), "copy")
	r.config.Copies = []Copy{{Name: "disk", Location: Location{Path: copied}}}
	for range 3 {
		r.write("a", strings.Repeat(r.clock.String(), 100))
		r.must("run", nil)
		r.clock = r.clock.Add(time.Hour)
	}
	doubt := func(c *Config) { c.NoPruning, c.Retention.KeepLatest = true, 1 }
	r.Expect(r.must("run", doubt).Snapshots).To(HaveLen(4))
	_, err := r.does("prune", doubt)
	r.Expect(ReasonOf(err)).To(Equal(ReasonDamaged))
	r.Expect(r.must("list", nil).Snapshots).To(HaveLen(4))

	// What the copy has beyond the repository stays, and then goes.
	surplus := filepath.Join(copied, "p", "123", "456789012345678901234567890abc-s1234567890abcdef127.f")
	r.Expect(os.MkdirAll(filepath.Dir(surplus), 0o700)).To(Succeed())
	r.Expect(os.WriteFile(surplus, []byte("of a run that failed"), 0o600)).To(Succeed())
	r.must("copy", doubt)
	r.Expect(surplus).To(BeAnExistingFile())
	r.must("copy", nil)
	r.Expect(surplus).NotTo(BeAnExistingFile())
}

// What the repository has lost, or of which it has a part only, stays in its copies.
func TestCopyKeepsWhatTheRepositoryLost(t *testing.T) {
	r := newRig(t)
	copied := filepath.Join(t.TempDir(), "copy")
	r.config.Copies = []Copy{{Name: "disk", Location: Location{Path: copied}}}
	r.write("a", "a")
	r.must("run", nil)
	r.write("a", "b")
	r.must("run", nil)
	var packs []string
	for _, file := range r.blobs() {
		if strings.HasPrefix(blobID(r.config.Repository.Path, file), "p") {
			packs = append(packs, file)
		}
	}
	r.Expect(packs).To(HaveLen(2))
	r.Expect(os.Remove(packs[0])).To(Succeed())
	r.Expect(os.Truncate(packs[1], 10)).To(Succeed())
	for range 2 {
		r.must("copy", nil)
		r.same(snap(t, r.restored(func(c *Config) { c.From = "disk" })), snap(t, r.volume))
		r.must("verify", func(c *Config) { c.Verify.Mode, c.From = VerifyFull, "disk" })
	}
}

// An inventory that can't be read is told of once, by a run or a verification, and a run writes it anew.
func TestInventoryThatCannotBeRead(t *testing.T) {
	r := newRig(t)
	r.write("a", "a")
	r.must("run", nil)
	r.Expect(os.WriteFile(filepath.Join(r.config.Repository.Path, string(inventoryID)+".f"), []byte("{"), 0o600)).To(Succeed())
	for _, operation := range []string{"verify", "run"} {
		_, err := r.does(operation, nil)
		r.Expect(ReasonOf(err)).To(Equal(ReasonDamaged), "%s: %v", operation, err)
		r.Expect(err).To(MatchError(ContainSubstring(string(inventoryID))))
	}
	r.must("run", nil)
	r.must("verify", nil)
}

func TestSampleReadsSomething(t *testing.T) {
	r := newRig(t)
	r.write("only", "file")
	r.must("run", nil)
	for range 20 {
		some := r.must("verify", func(c *Config) { c.Verify = Verify{Mode: VerifySample, Percent: 0.1} }).Verification
		r.Expect(some.FilesRead).To(BeEquivalentTo(1))
	}
}

// After a restore in place the newest snapshot is a safety snapshot; what must be well before anything is removed is the newest
// backup.
func TestPruneLooksAtTheNewestBackup(t *testing.T) {
	r := newRig(t).ticking()
	r.write("a", noise(1000))
	r.must("run", nil)
	r.clock = r.clock.Add(time.Hour)
	before := r.blobs()
	r.write("a", noise(2000))
	newest := r.must("run", nil).Made[0].ID
	r.clock = r.clock.Add(time.Hour)
	var packs []string
	for _, file := range r.blobs() {
		if !slices.Contains(before, file) && strings.HasPrefix(blobID(r.config.Repository.Path, file), "p") {
			packs = append(packs, file)
		}
	}
	r.write("a", noise(3000))
	result, err := r.inPlace("request", nil)
	r.Expect(err).NotTo(HaveOccurred(), asJSON(result))
	r.Expect(packs).NotTo(BeEmpty())
	for _, file := range packs {
		r.Expect(os.Truncate(file, 1)).To(Succeed())
	}
	result, err = r.does("prune", func(c *Config) { c.Retention.KeepLatest = 1 })
	r.Expect(ReasonOf(err)).To(Equal(ReasonDamaged), "%v", err)
	r.Expect(asJSON(result.Verification.Damaged)).To(ContainSubstring(newest))
	r.Expect(result.Pruned).To(BeNil())
}
