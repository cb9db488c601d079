package engine

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// The digests are those that the standards give for "abc", by either way, and a record of before is compared by its own.
func TestDigestsOfBothKinds(t *testing.T) {
	g := NewWithT(t)
	name := filepath.Join(t.TempDir(), "abc")
	g.Expect(os.WriteFile(name, []byte("abc"), 0o600)).To(Succeed())
	for like, want := range map[string]string{
		"":           "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
		"blake3:00":  "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
		"0123456789": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	} {
		digest, size, err := digestFile(name, like)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(digest).To(Equal(want))
		g.Expect(size).To(BeEquivalentTo(3))
	}
}
