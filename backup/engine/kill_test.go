package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// child is set in the process that a test kills: the operation, and the file of its configuration.
const child = "MOCKUP_BACKUP_CHILD"

func TestMain(m *testing.M) {
	if operation, file, ok := strings.Cut(os.Getenv(child), " "); ok {
		LimitMemory()
		if _, err := RunFile(context.Background(), operation, file, nil, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// kills is how often a process is killed: a few times, or MOCKUP_KILLS.
func kills(t *testing.T) int {
	text := os.Getenv("MOCKUP_KILLS")
	if text == "" {
		return 6
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A backup is killed at random moments, a restore as well. Whatever the moment, the repository opens, what was backed up
// before is restored identical, the next run succeeds, and full verification finds nothing.
func TestKilledAtAnyMoment(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := newRig(t)
	r.config.Retention.KeepLatest = 3
	r.config.Copies = []Copy{{Name: "other", Location: Location{Path: filepath.Join(t.TempDir(), "copy")}}}
	took := r.timed("run", "first run")
	killed := 0
	for i := range kills(t) {
		before := snap(t, r.volume)
		for range 20 {
			b := make([]byte, random.IntN(300_000))
			for j := range b {
				b[j] = byte(random.Uint32())
			}
			r.write(fmt.Sprintf("files/%d", random.IntN(200)), string(b))
		}
		if r.killed("run", time.Duration(random.Int64N(int64(took*3/2)))) {
			killed++
		}
		if i > 0 {
			r.oldRestores(before)
		}
		took = r.timed("run", fmt.Sprintf("the run after kill %d", i))
		target := filepath.Join(t.TempDir(), "restored")
		restore := func(c *Config) { c.Volumes = []Volume{{Name: "mime-storage", Path: target}} }
		saved := r.config.Volumes
		restore(r.config)
		r.killed("restore", time.Duration(random.Int64N(int64(200*time.Millisecond))))
		r.must("restore", nil)
		r.config.Volumes = saved
		r.same(snap(t, target), snap(t, r.volume))
		for _, from := range []string{"", "other"} {
			r.must("verify", func(c *Config) { c.Verify.Mode, c.From = VerifyFull, from })
		}
	}
	if killed == 0 {
		t.Error("no run was killed before its end: this has proven nothing")
	}
	for _, file := range r.leftovers() {
		t.Errorf("%s was left", file)
	}
	t.Logf("%d of %d runs were killed before their end", killed, kills(t))
}

// oldRestores tells whether what was there before a kill is either the newest snapshot, or the one before it.
func (r *rig) oldRestores(want map[string]string) {
	r.t.Helper()
	listed := r.must("list", nil)
	newest := listed.Snapshots[max(0, len(listed.Snapshots)-2):]
	for _, s := range newest {
		have := snap(r.t, r.restored(func(c *Config) { c.Restore.Snapshot = s.ID }))
		if asJSON(have) == asJSON(want) {
			return
		}
	}
	r.t.Errorf("none of the last two snapshots is what was backed up before the kill")
}

func (r *rig) timed(operation, what string) time.Duration {
	r.t.Helper()
	start := time.Now()
	out, err := r.process(operation).CombinedOutput()
	r.Expect(err).NotTo(HaveOccurred(), "%s: %s", what, out)
	return time.Since(start)
}

// killed starts an operation in a process of its own and kills it after some time; false if it ended before.
func (r *rig) killed(operation string, after time.Duration) bool {
	r.t.Helper()
	cmd := r.process(operation)
	r.Expect(cmd.Start()).To(Succeed())
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	defer timer.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled()
}

func (r *rig) process(operation string) *exec.Cmd {
	file := filepath.Join(r.t.TempDir(), "config.json")
	b, err := json.Marshal(r.config)
	r.Expect(err).NotTo(HaveOccurred())
	r.Expect(os.WriteFile(file, b, 0o600)).To(Succeed())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), child+"="+operation+" "+file, "TMPDIR="+r.t.TempDir())
	return cmd
}

// leftovers are unfinished files of the repository.
func (r *rig) leftovers() []string {
	found, err := exec.Command("find", r.config.Repository.Path, "-name", "*.tmp.*").Output()
	r.Expect(err).NotTo(HaveOccurred())
	return strings.Fields(string(found))
}

// A process that was killed while it made the repository leaves one that is made the next time.
func TestRepositoryThatWasNotFinished(t *testing.T) {
	r := newRig(t)
	r.write("a", "a")
	r.must("run", nil)
	for _, file := range r.blobs() {
		if blobID(r.config.Repository.Path, file) != "kopia.blobcfg" {
			r.Expect(os.Remove(file)).To(Succeed())
		}
	}
	r.must("run", nil)
	r.same(snap(t, r.restored(nil)), snap(t, r.volume))
}
