package observability

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// Lines that the writer writes in a round: a thousand bytes each, so that its log is full (10 MiB) three times.
const (
	roundLines = 33_000
	roundBatch = 250
	roundPause = 50 * time.Millisecond // between batches: about 5 MB/s
	roundFiles = 3
)

// mayMiss is how many lines of a round may not arrive. Promtail may have noted that it has read the first part of a line, which waits
// for the rest in memory, when it is killed.
var mayMiss = map[string]int{roundPromtail: 1}

// The rounds, one for each log agent.
const (
	roundPromtail  = "promtail"
	roundCollector = "collector"
)

// addWriter adds a service that writes when it is told to, by a file for each round.
func addWriter(s *v1alpha1.MockupStack) {
	script := fmt.Sprintf(`trap exit TERM QUIT
for round in %s %s; do
until [ -e /tmp/$round ]; do usleep 100000; done
awk -v round=$round 'BEGIN { for (i = 1; i <= 66; i++) pad = pad sprintf("%%05d-filling ", i * 7919 %% 99991)
while (n < %d) { for (i = 0; i < %d; i++) printf "{\"round\":\"%%s\",\"seq\":%%d,\"level\":\"info\",\"pad\":\"%%s\"}\n", round, ++n, pad
fflush(); system("usleep %d") } }'
done
while :; do usleep 100000; done`, roundPromtail, roundCollector, roundLines, roundBatch, roundPause.Microseconds())
	core, memory := resource.MustParse("1"), resource.MustParse("64Mi")
	s.Spec.Services = append(s.Spec.Services, v1alpha1.Service{
		Name: "writer", Image: manifests.ImageNginx, Command: []string{"/bin/sh", "-c", script}, Port: 8000,
		Networks:  []v1alpha1.NetworkAttachment{{Name: "public"}},
		Env:       []v1alpha1.EnvVar{{Name: "OTEL_TRACES_SAMPLER_ARG", Value: "1"}}, // not replaced when that changes for others
		Resources: &v1alpha1.Resources{Limits: v1alpha1.ResourceAmounts{CPU: &core, Memory: &memory}},
		Probes:    v1alpha1.Probes{Readiness: &v1alpha1.Probe{Exec: &v1alpha1.ExecProbe{Command: []string{"/bin/true"}}}},
	})
}

// rotation has the log of a container be full again and again, and the agent killed in between: each line arrives, once.
func (w *watched) rotation(t *testing.T, round, agent string) {
	t.Helper()
	before, files := w.identity(t, agent), w.rotations(t)
	w.podman(t, "exec", w.container(t, "writer"), "touch", "/tmp/"+round)
	more := func(n int) func() error {
		return func() error {
			if found := w.rotations(t) - files; found < n {
				return fmt.Errorf("it was full %d times", found)
			}
			return nil
		}
	}
	eventually(t, "the log to be full", patience, more(1))
	w.podman(t, "kill", "--signal", "KILL", agent)
	eventually(t, "the log agent to be started again", patience, func() error {
		if w.identity(t, agent) == before {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	killed := w.rotations(t) - files
	eventually(t, "the log to be full again and again", patience, more(roundFiles))
	t.Logf("when the agent was back, the log had been full %d times", killed)
	w.arrived(t, round)
	w.finished(t)
}

// finished are all logs of the writer that became full: none breaks off a line that goes on in the next.
func (w *watched) finished(t *testing.T) {
	t.Helper()
	full := w.writerLogs(t, "*.log.*")
	if len(full) == 0 {
		t.Error("there is no log that became full")
	}
	for _, file := range full {
		text, err := os.ReadFile(file)
		must(t, err)
		last := text[1+bytes.LastIndexByte(bytes.TrimSuffix(text, []byte("\n")), '\n'):]
		if fields := strings.Fields(string(last)); len(fields) < 4 || fields[2] != "F" {
			t.Errorf("%s ends with %.100q", filepath.Base(file), last)
		}
	}
}

// arrived are all lines of a round, each once: their number is right, and the sum of their numbers, and remain so.
func (w *watched) arrived(t *testing.T, round string) {
	t.Helper()
	lines := fmt.Sprintf(`{service="writer"} |= "\"round\":\"%s\""`, round)
	var right, missing int
	eventually(t, "each line of "+round+" to be there once", patience, func() error {
		count, err := numbers(`sum(count_over_time(`+lines+` [1h]))`, "")
		missing = roundLines - int(count[""])
		if err == nil && (missing < 0 || missing > mayMiss[round]) {
			right = 0
			return fmt.Errorf("%v of %d lines are", count[""], roundLines)
		}
		if right++; right < 5 {
			return fmt.Errorf("they are, but the agent may not have come to its end")
		}
		return err
	})
	if missing > 0 {
		t.Logf("%d lines of %s are missing", missing, round)
		return
	}
	sum, err := numbers(`sum(sum_over_time(`+lines+` | json | unwrap seq [1h]))`, "")
	must(t, err)
	if want := float64(roundLines) * (roundLines + 1) / 2; sum[""] != want {
		t.Errorf("the sum of the lines' numbers is %v, want %v", sum[""], want)
	}
}

// rotations of the writer's log so far: each file has a number.
func (w *watched) rotations(t *testing.T) (n int) {
	t.Helper()
	for _, file := range w.writerLogs(t, "*.log*") {
		number, _, _ := strings.Cut(filepath.Base(file), ".")
		if of, err := strconv.Atoi(number); err == nil { // else it is about to become one
			n = max(n, of)
		}
	}
	return n
}

func (w *watched) writerLogs(t *testing.T, name string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.graphRoot(t), "mockup-pod-logs", "default_*_*", "writer", name))
	must(t, err)
	return found
}

func (w *watched) graphRoot(t *testing.T) string {
	t.Helper()
	return w.podman(t, "info", "--format", "{{.Store.GraphRoot}}")
}

// promtailRotates is the round of Promtail.
func (w *watched) promtailRotates(t *testing.T) {
	w.rotation(t, roundPromtail, "default-mockup-promtail-0.promtail")
}

// collector takes Promtail's place. It reads from the beginning what is there, of which nothing is gone; lines that the runtime
// read in parts may be there twice, since the agents do not agree on their times.
func (w *watched) collector(t *testing.T) {
	const agent = "default-mockup-" + manifests.ComponentCollector + "-0." + manifests.ComponentCollector
	w.change(t, func(s *v1alpha1.ObservabilityAddonSpec) {
		s.Logs.Agent = v1alpha1.AgentOpenTelemetryCollector
		s.Objectives = nil // of the gateway, whose requests Promtail counts
	})
	eventually(t, "the addon to be ready with it", patience, func() error {
		if w.podman(t, "ps", "--quiet", "--filter", "name=promtail") != "" {
			return fmt.Errorf("Promtail is still there")
		}
		return w.ready(t)
	})
	eventually(t, "Prometheus to read it, and no Promtail", patience, func() error {
		var answer struct {
			Data struct {
				ActiveTargets []struct{ ScrapePool, Health string }
			}
		}
		err := get(prometheus+"/api/v1/targets", url.Values{"state": {"active"}}, &answer)
		health := map[string]string{}
		for _, target := range answer.Data.ActiveTargets {
			health[target.ScrapePool] = target.Health
		}
		if err == nil && (health[manifests.ComponentCollector] != "up" || health[manifests.ComponentPromtail] != "") {
			err = fmt.Errorf("targets are %v", health)
		}
		return err
	})
	w.rotation(t, roundCollector, agent)
	count, err := numbers(fmt.Sprintf(`sum(count_over_time({service="writer"} |= "\"round\":\"%s\"" [1h]))`, roundPromtail), "")
	must(t, err)
	if t.Logf("of %d lines that Promtail sent, there are %v", roundLines, count[""]); count[""] < roundLines || count[""] > 1.3*roundLines {
		t.Errorf("of %d lines that Promtail sent, there are %v", roundLines, count[""])
	}
	must(t, w.ask(t.Context(), "GET", "collector-test/", nil))
	eventually(t, "a line of the gateway", patience, func() error {
		found, err := numbers(`sum by (container) (count_over_time({service="gateway",stack="mockup",namespace="default",pod=~".+"} | json | path="/collector-test/" [1h]))`, "container")
		if err == nil && found["mockup-gateway"] != 1 {
			err = fmt.Errorf("there are %v", found)
		}
		return err
	})
	w.labels(t)
	eventually(t, "the status to have all ready, and a log of late", patience, func() error { // the agent was killed a moment ago
		if s := w.addon(t).Status; s.LastLogTime == nil || time.Since(s.LastLogTime.Time) > time.Minute || !strings.HasPrefix(s.Ready, "7/") {
			return fmt.Errorf("the status has %s ready, and the last log of %v", s.Ready, s.LastLogTime)
		}
		return nil
	})
}
