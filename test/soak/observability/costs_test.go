package observability

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"mockup.dev/mockup/manifests"
	"mockup.dev/mockup/test/load"
	"mockup.dev/mockup/test/stacktest"
)

// Bounds of what the four take together that keep logs, traces and alerts, at rest.
const (
	maxMemory = 500_000_000 // bytes
	maxCPU    = 0.18        // of a core
)

// four are those that the bounds are for.
var four = []string{manifests.ComponentJaeger, manifests.ComponentLoki, manifests.ComponentPromtail, manifests.ComponentAlertmanager}

// costs of all programs of the addon at a time.
type costs struct {
	at  time.Time
	all map[string]cost // by component
}

// cost of a program so far.
type cost struct {
	pid    int
	memory int64 // working set, in bytes: without what the kernel keeps of files and can drop
	limit  int64 // of memory, in bytes
	cpu    time.Duration
	disk   int64 // bytes in its volume
}

// sample looks at each program of the addon.
func sample(t *testing.T, s *stacktest.Stack) costs {
	t.Helper()
	now, memory := costs{at: time.Now(), all: map[string]cost{}}, workingSets(t)
	for _, component := range append([]string{manifests.ComponentPrometheus, manifests.ComponentGrafana, manifests.ComponentGatewayExporter}, four...) {
		out, err := s.Podman(t.Context(), "inspect", "default-mockup-"+component+"-0."+component)
		must(t, err)
		var found []struct {
			State      struct{ Pid int }
			HostConfig struct{ Memory int64 }
		}
		must(t, json.Unmarshal([]byte(out), &found))
		c := cost{pid: found[0].State.Pid, limit: found[0].HostConfig.Memory}
		if c.memory = memory[component]; c.memory == 0 {
			t.Fatalf("Prometheus knows no memory of %s", component)
		}
		c.cpu, err = stacktest.CPUTime(c.pid)
		must(t, err)
		if component != manifests.ComponentGatewayExporter {
			folder, err := s.Podman(t.Context(), "volume", "inspect", "--format", "{{.Mountpoint}}", "default-mockup-"+component)
			must(t, err)
			c.disk = size(folder)
		}
		now.all[component] = c
	}
	return now
}

// workingSets of containers, by name, as Prometheus has read them.
func workingSets(t *testing.T) map[string]int64 {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Metric struct{ Container string }
				Value  [2]any
			}
		}
	}
	must(t, ask(prometheus+"/api/v1/query", url.Values{"query": {`container_memory_working_set_bytes{namespace="default"}`}}, &answer))
	found := map[string]int64{}
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		bytes, err := strconv.ParseFloat(text, 64)
		must(t, err)
		found[r.Metric.Container] = int64(bytes)
	}
	return found
}

// size that all files in a folder take on disk, in bytes: some have long empty stretches that take none.
func size(folder string) (sum int64) {
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil { // files come and go
				sum += info.Sys().(*syscall.Stat_t).Blocks * 512 // stat(2)
			}
		}
		return nil
	})
	return sum
}

// most is the largest of what is seen.
func most(seen []costs, of func(costs) int64) (m int64) {
	for _, c := range seen {
		m = max(m, of(c))
	}
	return m
}

func together(c costs) (memory int64) {
	for _, name := range four {
		memory += c.all[name].memory
	}
	return memory
}

// report prints what is seen from first to last, and returns the part of a core that the four take.
func report(when string, seen []costs) float64 {
	first, last := seen[0], seen[len(seen)-1]
	share := func(name string) float64 {
		return float64(last.all[name].cpu-first.all[name].cpu) / float64(last.at.Sub(first.at))
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "%s, %s\tmemory MiB, most\tlimit MiB\t%% of a core\tdisk MiB\tgrown by\t\n", when, last.at.Sub(first.at).Round(time.Second))
	names := make([]string, 0, len(last.all))
	for name := range last.all {
		names = append(names, name)
	}
	slices.Sort(names)
	cpu := 0.0
	for _, name := range names {
		if slices.Contains(four, name) {
			cpu += share(name)
		}
		memory := most(seen, func(c costs) int64 { return c.all[name].memory })
		fmt.Fprintf(table, "%s\t%d\t%d\t%.1f\t%.1f\t%.1f\t\n", name, memory>>20, last.all[name].limit>>20, 100*share(name),
			float64(last.all[name].disk)/(1<<20), float64(last.all[name].disk-first.all[name].disk)/(1<<20))
	}
	fmt.Fprintf(table, "%s\t%d\t\t%.1f\t\t\t\n", strings.Join(four, " + "), most(seen, together)>>20, 100*cpu)
	_ = table.Flush() // standard output
	return cpu
}

// watch the programs for a while.
func watch(t *testing.T, s *stacktest.Stack, lasting time.Duration) []costs {
	t.Helper()
	seen := []costs{sample(t, s)}
	for begin := time.Now(); time.Since(begin) < lasting; {
		time.Sleep(5 * time.Second) // it is what is measured
		seen = append(seen, sample(t, s))
	}
	return seen
}

// judge what is seen: nobody was started anew, each has stayed under its limit, and the four are within their bound.
func judge(t *testing.T, seen []costs) {
	t.Helper()
	for name, c := range seen[len(seen)-1].all {
		if seen[0].all[name].pid != c.pid {
			t.Errorf("%s was started anew", name)
		}
		if memory := most(seen, func(s costs) int64 { return s.all[name].memory }); c.limit == 0 || memory >= c.limit {
			t.Errorf("%s took %d MiB of the %d that it may", name, memory>>20, c.limit>>20)
		}
	}
	if memory := most(seen, together); memory > maxMemory {
		t.Errorf("%v took %d MB together, more than %d", four, memory/1_000_000, maxMemory/1_000_000)
	}
}

func atRest(t *testing.T, s *stacktest.Stack) {
	seen := watch(t, s, *idle)
	judge(t, seen)
	if cpu := report("at rest", seen); cpu > maxCPU {
		t.Errorf("%v took %.1f %% of a core together, more than %g", four, 100*cpu, 100*maxCPU)
	}
}

func underLoad(t *testing.T, s *stacktest.Stack) {
	ca, err := s.Mockup(t.Context(), "ca")
	must(t, err)
	visitor, err := load.NewClient([]byte(ca), "")
	must(t, err)
	run, err := load.Start(t.Context(), load.Options{Rate: 10, Timeout: 30 * time.Second, AtMost: *busy + time.Minute, Client: visitor}, load.Kind{
		Name: "page", Share: 1, Do: func(ctx context.Context, client *http.Client, _ int) error {
			_, err := load.Ask(ctx, client, http.StatusOK, http.MethodGet, stacktest.URL, nil)
			return err
		},
	})
	must(t, err)
	seen := watch(t, s, *busy)
	answers := run.Stop()
	answers.Print(os.Stdout)
	if err := answers.Kept(); err != nil || len(answers.Failures()) > 0 {
		t.Errorf("%d requests failed; %v", len(answers.Failures()), err)
	}
	judge(t, seen)
	report("under 10 requests/s", seen)
}
