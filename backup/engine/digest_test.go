package engine

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// The digests of "abc" must never change; those of before are what the standards give. A record is compared by its own kind.
func TestDigestsOfEachKind(t *testing.T) {
	g := NewWithT(t)
	name := filepath.Join(t.TempDir(), "abc")
	g.Expect(os.WriteFile(name, []byte("abc"), 0o600)).To(Succeed())
	for like, want := range map[string]string{
		"":           "highwayhash256:a719590809739b215a54d0693faca203ff206ee3fa9b0de19fff3fddb3329c2c",
		"blake3:00":  "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
		"0123456789": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	} {
		digest, size, err := digestFile(name, like)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(digest).To(Equal(want))
		g.Expect(size).To(BeEquivalentTo(3))
	}
}

// By the reference implementation (highwayhash_test.cc, kExpected256), for nothing.
func TestDigestIsThatOfTheReference(t *testing.T) {
	g := NewWithT(t)
	var want []byte
	for _, word := range []uint64{0xDD44482AC2C874F5, 0xD946017313C7351F, 0xB3AEBECCB98714FF, 0x41DA233145751DF4} {
		want = binary.LittleEndian.AppendUint64(want, word)
	}
	g.Expect(newDigester("").digest()).To(Equal("highwayhash256:" + hex.EncodeToString(want)))
}
