// Package bench measures a backup beside Kopia's own command line with the same settings, restic, and tar: 500 MB of mixed
// files, the first time, unchanged, and with one file in a hundred changed.
//
//	MOCKUP_KOPIA=$(hack/kopia-cli) go test -C backup ./bench -v
package bench

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pairs of measurements, after a round that only fills caches.
var pairs = flag.Int("pairs", 7, "how often each program is measured")

const (
	// maxRatio is how much longer than Kopia's command line a backup may take, its check and what it does beside included.
	maxRatio = 1.10
	// maxResident in KiB.
	maxResident = 256 << 10
)

// measure of one program.
type measure struct {
	took     time.Duration
	cpu      time.Duration
	resident int64 // KiB
}

// contender is a program that backs up.
type contender struct {
	name string
	// prepare an empty place, and backup into it.
	prepare, backup func(place string) *exec.Cmd
}

func TestBackupBesideOthers(t *testing.T) {
	volume := t.TempDir()
	fill(t, volume)
	all := contenders(t, volume)
	times := map[string]map[string][]measure{}
	add := func(phase, name string, m measure) {
		if times[phase] == nil {
			times[phase] = map[string][]measure{}
		}
		times[phase][name] = append(times[phase][name], m)
	}
	var stored = map[string]int64{}
	for i := range *pairs + 1 {
		round := slices.Clone(all)
		if i%2 == 1 {
			slices.Reverse(round)
		}
		places := map[string]string{}
		for _, phase := range []string{"first", "unchanged", "changed"} {
			if phase == "changed" {
				change(t, volume, i)
			}
			for _, c := range round {
				if c.name == "tar" && phase != "first" {
					continue // it does the same again
				}
				if phase == "first" {
					places[c.name] = t.TempDir()
					if cmd := c.prepare(places[c.name]); cmd != nil {
						run(t, cmd)
					}
				}
				// Ours waits until the disk has everything: of its own, not of what those before it left to the kernel.
				unix.Sync()
				m := run(t, c.backup(places[c.name]))
				if i > 0 {
					add(phase, c.name, m)
				}
				if phase == "first" {
					stored[c.name] = size(t, places[c.name])
				}
			}
		}
		for _, place := range places {
			_ = os.RemoveAll(place)
		}
	}
	judge(t, times, stored)
}

func judge(t *testing.T, times map[string]map[string][]measure, stored map[string]int64) {
	for _, phase := range []string{"first", "unchanged", "changed"} {
		for name, ms := range times[phase] {
			t.Logf("%-9s %-6s median %6.2f s, %6.2f s of CPU, at most %4d MiB, stored %4d MB",
				phase, name, median(ms, took).Seconds(), median(ms, cpu).Seconds(), mostResident(ms)>>10, stored[name]/1_000_000)
		}
		ours, kopia := times[phase]["ours"], times[phase]["kopia"]
		ratio := medianRatio(ours, kopia, took)
		t.Logf("%-9s median of the ratios to Kopia's command line: %.2f, of CPU time %.2f", phase, ratio, medianRatio(ours, kopia, cpu))
		if ratio > maxRatio {
			t.Errorf("%s: a backup takes %.2f times as long as Kopia's command line, at most %.2f is allowed", phase, ratio, maxRatio)
		}
		if most := mostResident(ours); most > maxResident {
			t.Errorf("%s: a backup takes %d KiB of memory, at most %d are allowed", phase, most, maxResident)
		}
		for _, other := range []string{"restic", "tar"} {
			theirs := times[phase][other]
			if len(theirs) == 0 {
				theirs = times["first"][other]
			}
			if median(ours, took) >= median(theirs, took) {
				t.Errorf("%s: a backup takes longer than %s", phase, other)
			}
		}
	}
}

func took(m measure) time.Duration { return m.took }
func cpu(m measure) time.Duration  { return m.cpu }

func median(ms []measure, of func(measure) time.Duration) time.Duration {
	var d []time.Duration
	for _, m := range ms {
		d = append(d, of(m))
	}
	slices.Sort(d)
	return d[len(d)/2]
}

// medianRatio of pairs that were measured one after the other.
func medianRatio(a, b []measure, of func(measure) time.Duration) float64 {
	var ratios []float64
	for i := range a {
		ratios = append(ratios, float64(of(a[i]))/float64(of(b[i])))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

func mostResident(ms []measure) (most int64) {
	for _, m := range ms {
		most = max(most, m.resident)
	}
	return most
}

func contenders(t *testing.T, volume string) []contender {
	t.Helper()
	kopia := os.Getenv("MOCKUP_KOPIA")
	if kopia == "" {
		t.Fatal("MOCKUP_KOPIA is not set, which is where Kopia's command line is; run: MOCKUP_KOPIA=$(hack/kopia-cli) go test -C backup ./bench")
	}
	ours := filepath.Join(t.TempDir(), "mockup-backup")
	if said, err := exec.Command("go", "build", "-o", ours, "..").CombinedOutput(); err != nil {
		t.Fatalf("building: %v: %s", err, said)
	}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	with := func(program, place string, args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+place+"/config", "XDG_CACHE_HOME="+place+"/cache", "KOPIA_CHECK_FOR_UPDATES=false",
			"KOPIA_PASSWORD=secret", "RESTIC_PASSWORD=secret", "RESTIC_REPOSITORY="+place+"/data")
		return cmd
	}
	return []contender{
		{"ours", func(place string) *exec.Cmd {
			settings(t, place, "config.json", volume, password)
			settings(t, place, "empty.json", t.TempDir(), password) // makes the repository, as the others do
			return with(ours, place, "run", "--config", place+"/empty.json")
		}, func(place string) *exec.Cmd { return with(ours, place, "run", "--config", place+"/config.json") }},
		{"kopia", func(place string) *exec.Cmd {
			return with("sh", place, "-c", fmt.Sprintf("mkdir %s/data && %s repository create filesystem --path %s/data && %s policy set --global --compression zstd", place, kopia, place, kopia))
		}, func(place string) *exec.Cmd { return with(kopia, place, "snapshot", "create", volume) }},
		{"restic", func(place string) *exec.Cmd { return with("restic", place, "init", "--quiet") },
			func(place string) *exec.Cmd { return with("restic", place, "backup", "--quiet", volume) }},
		{"tar", func(place string) *exec.Cmd { return with("mkdir", place, place+"/data") },
			func(place string) *exec.Cmd {
				return with("tar", place, "czf", place+"/data/all.tar.gz", "-C", volume, ".")
			}},
	}
}

// settings of ours, in the place.
func settings(t *testing.T, place, name, volume, password string) {
	t.Helper()
	config, err := json.Marshal(map[string]any{
		"source": "bench", "repository": map[string]string{"path": place + "/data"}, "passwordFile": password, "compression": "zstd",
		"volumes": []map[string]string{{"name": filepath.Base(volume), "path": volume}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(place, name), config, 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, cmd *exec.Cmd) measure {
	t.Helper()
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	start := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v: %.2000s", cmd.Args, err, said.String())
	}
	elapsed, s := time.Since(start), cmd.ProcessState
	return measure{elapsed, s.UserTime() + s.SystemTime(), s.SysUsage().(*syscall.Rusage).Maxrss}
}

// fill with 500 MB in 3051 files: half of it noise, half text.
func fill(t *testing.T, volume string) {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 7))
	for i := range 3051 {
		n := 80_000
		if i < 51 {
			n = 5_000_000
		}
		write(t, filepath.Join(volume, fmt.Sprint(i%50), fmt.Sprint(i)), content(random, n, i%2 == 0))
	}
}

func content(random *rand.Rand, n int, noise bool) []byte {
	b := make([]byte, n)
	words := strings.Fields("the quick brown fox jumps over a lazy dog and writes down what it has seen in a file of the volume")
	for i := 0; i < n; {
		if noise {
			b[i] = byte(random.Uint32())
			i++
			continue
		}
		i += copy(b[i:], words[random.IntN(len(words))]+" ")
	}
	return b
}

// change one file in a hundred.
func change(t *testing.T, volume string, round int) {
	t.Helper()
	random := rand.New(rand.NewPCG(9, uint64(round)))
	for i := 51; i < 3051; i += 100 {
		write(t, filepath.Join(volume, fmt.Sprint(i%50), fmt.Sprint(i)), content(random, 80_000, i%2 == 0))
	}
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func size(t *testing.T, place string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(place+"/data", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, infoErr := d.Info()
			if infoErr != nil {
				return infoErr
			}
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
