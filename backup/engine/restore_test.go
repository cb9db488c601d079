package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestRestoredTreeIsIdentical(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	want := snap(t, r.volume)
	first := r.must("run", nil)
	r.Expect(first.Made).To(HaveLen(1))
	r.Expect(first.Made[0].Special).To(ConsistOf("pipe"))
	r.Expect(first.Made[0].Unstable).To(BeEmpty())

	target := r.restored(nil)
	r.same(snap(t, target), want)

	info, err := os.Stat(filepath.Join(target, "sparse"))
	r.Expect(err).NotTo(HaveOccurred())
	r.Expect(info.Sys().(*syscall.Stat_t).Blocks*512).To(BeNumerically("<", 1<<20), "the hole was filled")

	second := r.must("run", nil)
	r.Expect(second.Made[0].Unchanged).To(Equal(second.Made[0].Files))
	r.Expect(second.Made[0].NewBytes).To(BeNumerically("<", 200_000), "an unchanged volume is stored again")
	r.same(snap(t, r.restored(nil)), want)
	r.must("test-restore", func(c *Config) { c.Restore.Scratch = t.TempDir() })
}

func TestSecondRunStoresWhatChanged(t *testing.T) {
	r := newRig(t).ticking()
	r.oddTree()
	before := snap(t, r.volume)
	first := r.must("run", nil)
	r.clock = r.clock.Add(time.Hour)
	r.write("text/plain.txt", "changed")
	r.write("new", "new")
	r.Expect(os.Remove(filepath.Join(r.volume, "noise/1MB.bin"))).To(Succeed())
	r.Expect(os.Chmod(filepath.Join(r.volume, "empty"), 0o600)).To(Succeed())
	r.Expect(os.Rename(filepath.Join(r.volume, "noise/6MB.bin"), filepath.Join(r.volume, "noise/moved"))).To(Succeed())
	second := r.must("run", nil)
	r.Expect(second.Made[0].NewBytes).To(BeNumerically("<", first.Made[0].NewBytes/10), "what was moved was stored again")
	r.same(snap(t, r.restored(nil)), snap(t, r.volume))
	r.same(snap(t, r.restored(func(c *Config) { c.Restore.Snapshot = first.Made[0].ID })), before)
	r.same(snap(t, r.restored(func(c *Config) { c.Restore.AsOf = r.clock.Add(-time.Minute) })), before)
	_, err := r.does("restore", func(c *Config) { c.Restore.AsOf = r.clock.Add(-2 * time.Hour) })
	r.Expect(ReasonOf(err)).To(Equal(ReasonNoSnapshot))
}

func TestRestoreCanBeRepeated(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	want := snap(t, r.volume)
	r.must("run", nil)
	target := r.restored(nil)
	into := func(c *Config) { c.Volumes[0].Path, c.Restore.Exact = target, true }
	again := r.must("restore", func(c *Config) { c.Volumes = []Volume{c.Volumes[0]}; into(c) })
	r.Expect(again.Restored[0].There).To(Equal(again.Restored[0].Files), "files were written again")

	// What an attempt that was killed leaves, and what looks right and is not.
	at := func(name string) string { return filepath.Join(target, name) }
	info, err := os.Stat(at("noise/1MB.bin"))
	r.Expect(err).NotTo(HaveOccurred())
	f, err := os.OpenFile(at("noise/1MB.bin"), os.O_WRONLY, 0)
	r.Expect(err).NotTo(HaveOccurred())
	_, err = f.WriteAt([]byte("damaged"), 1000)
	r.Expect(err).NotTo(HaveOccurred())
	r.Expect(f.Close()).To(Succeed())
	r.Expect(os.Chtimes(f.Name(), info.ModTime(), info.ModTime())).To(Succeed())
	r.Expect(os.WriteFile(at("text/"+unfinished+"tmp"), []byte("half"), 0o600)).To(Succeed())
	r.Expect(os.RemoveAll(at("many/03"))).To(Succeed())
	r.Expect(os.WriteFile(at("extra"), nil, 0o600)).To(Succeed())
	r.Expect(os.Remove(at("hard/second"))).To(Succeed())
	r.Expect(os.WriteFile(at("hard/second"), []byte("another file"), 0o600)).To(Succeed())
	r.Expect(os.Remove(at("empty-dir"))).To(Succeed())
	r.Expect(os.Symlink("text", at("empty-dir"))).To(Succeed())
	r.must("restore", func(c *Config) { c.Volumes = []Volume{c.Volumes[0]}; into(c) })
	r.same(snap(t, target), want)
}

func TestRestoreOfPathsLeavesTheRest(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	r.must("run", nil)
	target := t.TempDir()
	r.Expect(os.WriteFile(filepath.Join(target, "mine"), []byte("mine"), 0o600)).To(Succeed())
	paths := func(p ...string) func(*Config) {
		return func(c *Config) {
			c.Volumes = []Volume{{Name: "mime-storage", Path: target}}
			c.Restore.Paths = p
		}
	}
	r.must("restore", paths("text", "many/03/003", "names/latin1-\xe9\xff"))
	all, have := snap(t, r.volume), snap(t, target)
	r.Expect(have).To(HaveKey("mine"))
	r.Expect(have).NotTo(HaveKey("many/03/010"))
	for _, p := range []string{"text", "text/plain.txt", "many/03/003", "names/latin1-\xe9\xff"} {
		r.Expect(have[p]).To(Equal(all[p]), p)
	}
	_, err := r.does("restore", paths("no/such"))
	r.Expect(ReasonOf(err)).To(Equal(ReasonNoSnapshot))
}

func TestComparisonSeesEveryChange(t *testing.T) {
	changes := map[string]func(at func(string) string) error{
		"missing": func(at func(string) string) error { return os.Remove(at("empty")) },
		"extra":   func(at func(string) string) error { return os.WriteFile(at("text/extra"), nil, 0o600) },
		"mode":    func(at func(string) string) error { return os.Chmod(at("empty"), 0o601) },
		"owner":   func(at func(string) string) error { return os.Lchown(at("dangling"), 5, 5) },
		"time":    func(at func(string) string) error { return os.Chtimes(at("empty"), time.Time{}, time.Unix(1, 1)) },
		"content": func(at func(string) string) error { return os.WriteFile(at("noise/1MB.bin"), make([]byte, 1<<20), 0) },
		"size":    func(at func(string) string) error { return os.Truncate(at("noise/1MB.bin"), 1<<20-1) },
		"target": func(at func(string) string) error {
			return errorOf(os.Remove(at("up")), os.Symlink("../x", at("up")))
		},
		"type": func(at func(string) string) error {
			return errorOf(os.Remove(at("empty")), os.Mkdir(at("empty"), 0o644))
		},
		"links": func(at func(string) string) error { return unlink(at("hard/second")) },
	}
	r := newRig(t)
	r.oddTree()
	r.must("run", nil)
	for what, change := range changes {
		target := r.restored(nil)
		r.Expect(change(func(name string) string { return filepath.Join(target, name) })).To(Succeed(), what)
		repo, err := r.config.open(t.Context(), false)
		r.Expect(err).NotTo(HaveOccurred())
		m, err := repo.chosen(t.Context(), "mime-storage")
		r.Expect(err).NotTo(HaveOccurred())
		record, err := repo.recordOf(t.Context(), m)
		r.Expect(err).NotTo(HaveOccurred())
		repo.close(t.Context())
		found, err := compare(t.Context(), target, record, nil, true, NewReporter(&discard{}))
		r.Expect(err).NotTo(HaveOccurred())
		var seen []string
		for _, d := range found {
			seen = append(seen, d.What)
		}
		r.Expect(seen).To(ContainElement(what), asJSON(found))
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// unlink makes of one name of a file a file of its own that is like it.
func unlink(name string) error {
	return exec.Command("sh", "-c", `cp -a "$1" "$1.new" && mv "$1.new" "$1"`, "-", name).Run()
}

func TestIncludesAndExcludes(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	r.must("run", func(c *Config) {
		c.Include = []string{"text", "many/03", "noise"}
		c.Exclude = []string{"*.bin"}
	})
	have := snap(t, r.restored(nil))
	all := snap(t, r.volume)
	for p := range all {
		_, there := have[p]
		want := p == "." || p == "many" || p == "noise" || within(p, []string{"text", "many/03"})
		r.Expect(there).To(Equal(want), p)
	}
}

func TestArchiveIsTheTree(t *testing.T) {
	r := newRig(t).ticking()
	r.oddTree()
	archives := filepath.Join(t.TempDir(), "archives")
	for range 3 {
		r.must("run", func(c *Config) {
			c.Archives = Archives{Dir: archives, Keep: 2}
			c.TimeZone = "Europe/Rome"
		})
		r.clock = r.clock.Add(24 * time.Hour)
	}
	entries, err := os.ReadDir(archives)
	r.Expect(err).NotTo(HaveOccurred())
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	r.Expect(names).To(Equal([]string{"mime-storage-backup-20260302_030000.tar.gz", "mime-storage-backup-20260303_030000.tar.gz"}))
	target := t.TempDir()
	out, err := exec.Command("tar", "-xzpf", filepath.Join(archives, names[1]), "-C", target).CombinedOutput()
	r.Expect(err).NotTo(HaveOccurred(), string(out))
	r.same(snap(t, target), snap(t, r.volume))
}
