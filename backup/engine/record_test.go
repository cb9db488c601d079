package engine

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// record of the newest snapshot.
func (r *rig) record(change func(*Config)) Record {
	r.t.Helper()
	c := *r.config
	if change != nil {
		change(&c)
	}
	repo, err := c.open(r.t.Context(), false)
	r.Expect(err).NotTo(HaveOccurred())
	defer repo.close(r.t.Context())
	m, err := repo.chosen(r.t.Context(), c.Volumes[0].Name)
	r.Expect(err).NotTo(HaveOccurred())
	record, err := repo.recordOf(r.t.Context(), m)
	r.Expect(err).NotTo(HaveOccurred())
	return record
}

// What is taken over from the last record, folder by folder, is what would be found anew.
func TestRecordOfAChangeIsThatOfAllAnew(t *testing.T) {
	r := newRig(t)
	r.oddTree()
	for _, name := range []string{"a/one", "a.b/two", "a0/three", "a/b/four", "a/b.c/five", "a/b/deeper/six", "gone/seven", "-/eight"} {
		r.write(name, "content of "+name)
	}
	at := func(name string) string { return filepath.Join(r.volume, name) }
	same := func() {
		t.Helper()
		r.must("run", nil)
		anew := t.TempDir()
		elsewhere := func(c *Config) { c.Repository.Path = anew }
		r.must("run", elsewhere)
		r.Expect(r.record(nil)).To(Equal(r.record(elsewhere)))
	}
	same()
	same() // nothing was changed
	r.write("a/b/four", "another content")
	same()
	r.Expect(os.RemoveAll(at("gone"))).To(Succeed())
	r.Expect(os.Rename(at("a/b.c"), at("a/b.d"))).To(Succeed())
	same()
	r.Expect(os.Chmod(at("a/b"), 0o700)).To(Succeed()) // of a folder in which all is the same
	r.Expect(os.Link(at("a0/three"), at("a.b/three"))).To(Succeed())
	same()
	before, err := os.Stat(at("a/b"))
	r.Expect(err).NotTo(HaveOccurred())
	r.write("a/b/new", "in a folder that looks as before")
	r.Expect(os.Chtimes(at("a/b"), before.ModTime(), before.ModTime())).To(Succeed())
	same()
	r.Expect(os.Remove(at("a.b/two"))).To(Succeed())
	r.write("a.b/two/now a folder", "was a file")
	same()
}

func TestPartOfARecord(t *testing.T) {
	g := NewWithT(t)
	var all Record
	for _, p := range []string{"-", ".", "a", "a-b", "a-b/c", "a.b", "a/b", "a/b/c", "a0", "b"} {
		all = append(all, Entry{Path: p})
	}
	paths := func(r Record) (out []string) {
		for _, e := range r {
			out = append(out, e.Path)
		}
		return out
	}
	g.Expect(paths(all.below("a"))).To(Equal([]string{"a", "a/b", "a/b/c"}))
	g.Expect(paths(all.below("a/b"))).To(Equal([]string{"a/b", "a/b/c"}))
	g.Expect(paths(all.below("a-b"))).To(Equal([]string{"a-b", "a-b/c"}))
	g.Expect(paths(all.below("b"))).To(Equal([]string{"b"}))
	g.Expect(all.below("c")).To(BeEmpty())
	g.Expect(all.below(".")).To(Equal(all))
}
