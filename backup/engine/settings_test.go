package engine

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// What can be compressed is, by each way but the one that is none.
func TestCompressionStoresLess(t *testing.T) {
	for name := range compressors {
		t.Run("compression "+name, func(t *testing.T) {
			r := newRig(t)
			r.config.Compression = name
			r.write("text", strings.Repeat("the same again and again ", 80_000)) // 2 MB
			stored := r.must("run", nil).Repository.Bytes
			if name == "none" {
				r.Expect(stored).To(BeNumerically(">", 2_000_000))
			} else {
				r.Expect(stored).To(BeNumerically("<", 200_000))
			}
			r.same(snap(t, r.restored(nil)), snap(t, r.volume))
		})
	}
}

// The limit holds for what is written to a repository, for what is read from it, and for copies: the first second is free.
func TestBandwidthIsLimited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const rate, amount = 1 << 20, 6 << 20
	r.write("noise", noise(amount))
	took := func(do func()) float64 {
		began := time.Now()
		do()
		return time.Since(began).Seconds()
	}
	limited := func(c *Config) { c.BytesPerSecond = rate }
	unlimited := newRig(t)
	unlimited.write("noise", noise(amount))
	free := took(func() { unlimited.must("run", nil) })
	kept := And(BeNumerically(">", 4.9), BeNumerically("<", 9+4*free))
	r.Expect(took(func() { r.must("run", limited) })).To(kept, "writing")
	r.Expect(took(func() { r.restored(limited) })).To(kept, "reading")
	r.config.Copies = []Copy{{Name: "disk", Location: Location{Path: t.TempDir()}}}
	r.Expect(took(func() { r.must("copy", limited) })).To(kept, "copying")
}
