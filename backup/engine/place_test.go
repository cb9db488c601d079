package engine

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// A repository that was there and is not, because its disk is not mounted or its server was exchanged, is missed: none is made
// in its place.
func TestRepositoryThatMustExist(t *testing.T) {
	r := newRig(t)
	r.write("a", "a")
	id := r.must("run", nil).Repository.ID
	r.Expect(id).To(MatchRegexp("^[0-9a-f]{32,}$"))
	expected := func(c *Config) { c.MustExist, c.RepositoryID = true, id }
	r.Expect(r.must("run", expected).Repository.ID).To(Equal(id))

	elsewhere := r.config.Repository.Path + "-of-before"
	r.Expect(os.Rename(r.config.Repository.Path, elsewhere)).To(Succeed())
	_, err := r.does("run", expected)
	r.Expect(ReasonOf(err)).To(Equal(ReasonNoRepository), "%v", err)
	r.Expect(r.config.Repository.Path).NotTo(BeADirectory())
	r.Expect(os.Mkdir(r.config.Repository.Path, 0o700)).To(Succeed()) // where something should be mounted
	_, err = r.does("run", expected)
	r.Expect(ReasonOf(err)).To(Equal(ReasonNoRepository), "%v", err)
	r.Expect(r.blobs()).To(BeEmpty())

	other := r.must("run", nil).Repository.ID
	r.Expect(other).NotTo(Equal(id))
	_, err = r.does("run", expected)
	r.Expect(ReasonOf(err)).To(Equal(ReasonOther), "%v", err)
	r.Expect(err).To(MatchError(And(ContainSubstring(id), ContainSubstring(other))))
	r.Expect(r.must("list", nil).Snapshots).To(HaveLen(1))

	r.Expect(os.RemoveAll(r.config.Repository.Path)).To(Succeed())
	r.Expect(os.Rename(elsewhere, r.config.Repository.Path)).To(Succeed())
	r.Expect(r.must("run", expected).Snapshots).To(HaveLen(3))
}

// The same of a bucket that is empty.
func TestBucketThatMustBeTheSame(t *testing.T) {
	r := newRig(t)
	r.write("a", "a")
	_, r.config.Repository = newBucketServer(r)
	id := r.must("run", nil).Repository.ID
	_, empty := newBucketServer(r)
	_, err := r.does("run", func(c *Config) { c.Repository, c.MustExist, c.RepositoryID = empty, true, id })
	r.Expect(ReasonOf(err)).To(Equal(ReasonNoRepository), "%v", err)
	st, err := empty.storage(t.Context(), false)
	r.Expect(err).NotTo(HaveOccurred())
	r.Expect(idsIn(r, st)).To(BeEmpty())
}

// A restore into a new volume touches nothing that is there already, and goes on where one that was cut short ended.
func TestRestoreIntoAFolderThatIsNotEmpty(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	r.must("run", nil)
	target := t.TempDir()
	into := func(c *Config) {
		c.Volumes = []Volume{{Name: "mime-storage", Path: target}}
		c.Restore.OnlyEmpty = true
	}
	precious := filepath.Join(target, "precious")
	r.Expect(os.WriteFile(precious, []byte("mine"), 0o600)).To(Succeed())
	_, err := r.does("restore", into)
	r.Expect(ReasonOf(err)).To(Equal(ReasonNotEmpty), "%v", err)
	r.Expect(err).To(MatchError(ContainSubstring("precious")))
	r.Expect(snap(t, target)).To(HaveLen(2), "the folder and the file")

	r.Expect(os.Remove(precious)).To(Succeed())
	r.Expect(os.WriteFile(filepath.Join(target, claimed), nil, 0o600)).To(Succeed())
	r.Expect(os.WriteFile(filepath.Join(target, "half"), []byte("of another snapshot"), 0o600)).To(Succeed())
	r.must("restore", into)
	r.same(snap(t, target), snap(t, r.volume))
	_, err = r.does("restore", into)
	r.Expect(ReasonOf(err)).To(Equal(ReasonNotEmpty), "%v", err)
}

// An archive that somebody asked for stays; those of the policy go, and of two snapshots whose time reads the same both have one.
func TestArchivesThatWereAskedForStay(t *testing.T) {
	r := newRig(t).ticking()
	dir := filepath.Join(t.TempDir(), "archives")
	archives := func(c *Config) { c.Archives, c.TimeZone = Archives{Dir: dir, Keep: 1}, "Europe/Rome" }
	r.clock = r.clock.AddDate(0, 7, 23).Add(-90 * 60e9) // 2026-10-24 00:30 UTC, a day before the clock is set back
	r.write("a", "first")
	first := r.must("run", archives).Made[0].ID
	for range 2 {
		r.clock = r.clock.AddDate(0, 0, 1)
		r.must("run", archives)
	}
	asked := r.must("export", func(c *Config) {
		archives(c)
		c.Restore.Snapshot = first
	}).Archives[0]
	r.Expect(asked.File).To(Equal("mime-storage-backup-20261024_023000.tar.gz"))
	names := func() []string {
		entries, err := os.ReadDir(dir)
		r.Expect(err).NotTo(HaveOccurred())
		var out []string
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return out
	}
	newest := "mime-storage-backup-20261026_013000.tar.gz"
	r.Expect(names()).To(ConsistOf(asked.File, asked.File+kept, newest))
	r.clock = r.clock.AddDate(0, 0, 1)
	r.must("run", archives)
	r.Expect(names()).To(ConsistOf(asked.File, asked.File+kept, "mime-storage-backup-20261027_013000.tar.gz"))
	r.Expect(os.Remove(filepath.Join(dir, asked.File+kept))).To(Succeed())
	r.must("run", func(c *Config) { archives(c); c.NoPruning = true })
	r.Expect(names()).To(ContainElement(asked.File))
	r.clock = r.clock.AddDate(0, 0, 1)
	r.must("run", archives)
	r.Expect(names()).To(Equal([]string{"mime-storage-backup-20261028_013000.tar.gz"}))
}

func TestArchivesOfTheRepeatedHour(t *testing.T) {
	r := newRig(t).ticking()
	dir := filepath.Join(t.TempDir(), "archives")
	r.clock = r.clock.AddDate(0, 7, 24).Add(-90 * 60e9) // 2026-10-25 00:30 UTC, 02:30 in Rome for the first time
	var files []string
	for _, content := range []string{"summer", "winter"} {
		r.write("a", content)
		made := r.must("run", func(c *Config) { c.Archives, c.TimeZone = Archives{Dir: dir, Keep: 2}, "Europe/Rome" })
		files = append(files, made.Archives[0].File)
		r.clock = r.clock.Add(60 * 60e9)
	}
	r.Expect(files).To(Equal([]string{"mime-storage-backup-20261025_023000.tar.gz", "mime-storage-backup-20261025_023000+0100.tar.gz"}))
	for _, name := range files {
		r.Expect(filepath.Join(dir, name)).To(BeAnExistingFile())
	}
}
