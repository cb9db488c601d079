package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
)

// mounts is set in the process that has mounts of its own.
const mounts = "MOCKUP_BACKUP_MOUNTS"

// withMounts runs a test in a process whose mounts are nobody else's, and tells whether this is that process.
func withMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(mounts) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mounts+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// smallDisk is a folder of so many bytes.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	g, dir := NewWithT(t), t.TempDir()
	g.Expect(syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, "")).To(Succeed())
	g.Expect(syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))).To(Succeed())
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }) // the process ends with it
	return dir
}

func randomText(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return string(b)
}

// The disk of the repository is full: that is what is said, nothing that was there is lost, and what did not fit takes no room
// from what does, so that the next run succeeds when there is less to store, or more room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if !withMounts(t) {
		return
	}
	r := newRig(t)
	disk := smallDisk(t, 24<<20)
	r.config.Repository.Path = filepath.Join(disk, "repository")
	r.write("kept", randomText(4<<20))
	r.must("run", nil)
	big := filepath.Join(r.volume, "big")
	for i := range kills(t) / 6 {
		r.heals(fmt.Sprint("less to store, time ", i), ReasonFull, func() { r.write("big", randomText(60<<20)) }, func() {
			r.Expect(os.Remove(big)).To(Succeed())
		})
	}
	r.heals("more room", ReasonFull, func() { r.write("big", randomText(60<<20)) }, func() {
		r.Expect(syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=200m")).To(Succeed())
	})
}

// The disk of a copy is full: the repository itself is well, and the copy becomes equal when there is room.
func TestFullDiskOfACopy(t *testing.T) {
	t.Parallel()
	if !withMounts(t) {
		return
	}
	r := newRig(t)
	disk := smallDisk(t, 8<<20)
	r.config.Copies = []Copy{{Name: "disk", Location: Location{Path: filepath.Join(disk, "copy")}}}
	r.write("kept", randomText(2<<20))
	r.must("run", nil)
	before := snap(t, r.volume)
	r.write("big", randomText(30<<20))
	result, err := r.does("run", nil)
	r.Expect(ReasonOf(err)).To(Or(Equal(ReasonCopy), Equal(ReasonFull)), "%v", err)
	r.Expect(result.Error).To(ContainSubstring("no space left"))
	r.Expect(result.Made).To(HaveLen(1))
	r.same(snap(t, r.restored(nil)), snap(t, r.volume))
	r.same(snap(t, r.restored(func(c *Config) { c.From = "disk" })), before)
	r.Expect(syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=100m")).To(Succeed())
	r.must("run", nil)
	r.same(snap(t, r.restored(func(c *Config) { c.From = "disk" })), snap(t, r.volume))
}
