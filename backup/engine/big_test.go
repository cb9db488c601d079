package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
)

// amount is a number of the environment, or a small one.
func amount(t *testing.T, name string, small int) int {
	text := os.Getenv(name)
	if text == "" {
		return small
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// maxResident is how much memory a run may take, in KiB.
const maxResident = 256 << 10

// Many small files and a big one come back as they were, and take no more memory than allowed. MOCKUP_FILES and MOCKUP_BIG,
// in MiB, make them more and bigger.
func TestManyFilesAndABigOne(t *testing.T) {
	r := newRig(t)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range amount(t, "MOCKUP_FILES", 2000) {
		r.write(fmt.Sprintf("many/%03d/%d", i%251, i), fmt.Sprint("small file ", random.Uint64()))
	}
	f, err := os.Create(filepath.Join(r.volume, "big"))
	r.Expect(err).NotTo(HaveOccurred())
	block := make([]byte, 1<<20)
	for range amount(t, "MOCKUP_BIG", 32) {
		for j := range block {
			block[j] = byte(random.Uint32())
		}
		_, err = f.Write(block)
		r.Expect(err).NotTo(HaveOccurred())
	}
	r.Expect(f.Close()).To(Succeed())
	for _, operation := range []string{"run", "run", "verify", "test-restore"} {
		saved := r.config.Verify
		r.config.Verify.Mode, r.config.Restore.Scratch = VerifyFull, t.TempDir()
		cmd := r.process(operation)
		out, err := cmd.CombinedOutput()
		r.Expect(err).NotTo(HaveOccurred(), "%s: %.2000s", operation, out)
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		t.Logf("%s: %d MiB, %s of CPU", operation, usage.Maxrss>>10, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		r.Expect(usage.Maxrss).To(BeNumerically("<=", maxResident), "%s takes %d KiB", operation, usage.Maxrss)
		r.config.Verify, r.config.Restore = saved, Restore{}
	}
	r.same(snap(t, r.restored(nil)), snap(t, r.volume))
}
