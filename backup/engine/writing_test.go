package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// version of a file that is recognised as a whole: every line has its number.
func version(n int) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("version %08d\n", n)), 40_000)
}

// while something is done again and again in the background, until the function returns.
func (r *rig) while(again func(n int) error, do func()) {
	ctx, stop := context.WithCancel(r.t.Context())
	failed := make(chan error, 1)
	go func() {
		var err error
		for n := 1; ctx.Err() == nil && err == nil; n++ {
			err = again(n)
		}
		failed <- err
	}()
	defer func() {
		stop()
		r.Expect(<-failed).To(Succeed())
	}()
	do()
}

// The way of services that write a file beside and rename it: a snapshot has one version or another, whole.
func TestFileThatIsReplacedIsOldOrNew(t *testing.T) {
	r := newRig(t)
	name := filepath.Join(r.volume, "upload.mime")
	replace := func(n int) error {
		return errors.Join(os.WriteFile(name+".part", version(n), 0o600), os.Rename(name+".part", name))
	}
	r.Expect(replace(0)).To(Succeed())
	exclude := func(c *Config) { c.Exclude = []string{"*.part"} }
	seen := map[string]bool{}
	r.while(replace, func() {
		for range 12 {
			made := r.must("run", exclude)
			r.Expect(made.Made[0].Unstable).To(BeEmpty())
			content, err := os.ReadFile(filepath.Join(r.restored(nil), "upload.mime"))
			r.Expect(err).NotTo(HaveOccurred())
			var n int
			_, err = fmt.Sscanf(string(content), "version %d", &n)
			r.Expect(err).NotTo(HaveOccurred())
			r.Expect(bytes.Equal(content, version(n))).To(BeTrue(), "a mixture, which begins with version %d", n)
			seen[fmt.Sprint(n)] = true
		}
	})
	r.Expect(len(seen)).To(BeNumerically(">", 3), "the file was hardly replaced")
}

// What is written to in place may be a mixture, and the result says which files that may be.
func TestFileThatIsWrittenInPlaceIsNamed(t *testing.T) {
	r := newRig(t)
	name := filepath.Join(r.volume, "journal.log")
	r.Expect(os.WriteFile(name, bytes.Repeat(version(0), 20), 0o600)).To(Succeed())
	r.write("quiet", "nobody writes here")
	log, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	r.Expect(err).NotTo(HaveOccurred())
	defer log.Close()
	appending := func(int) error {
		_, err := log.WriteString("one more line\n")
		return err
	}
	r.while(appending, func() {
		made := r.must("run", nil)
		r.Expect(made.Made[0].Unstable).To(Equal([]string{"journal.log"}))
	})
	r.Expect(r.must("run", nil).Made[0].Unstable).To(BeEmpty())
}
