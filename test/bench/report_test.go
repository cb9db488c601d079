package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"mockup.dev/mockup/test/stacktest"
)

// The bounds.
const (
	maxRatio           = 1.1
	maxOperatorRSS     = 64 << 20
	maxControlPlaneRSS = 220 << 20
	maxIdleCPU         = 0.02 // of one core, both programs together
)

// Report is what was measured.
type Report struct {
	// Load is /proc/loadavg before and after: what else the machine had to do.
	Load  []string        `json:"load"`
	Pairs []Pair          `json:"pairs"`
	NoOp  NoOp            `json:"noOp"`
	Idle  map[string]Idle `json:"idle"`
	// IdleWindow is how long the programs were watched.
	IdleWindow time.Duration `json:"idleWindowNanoseconds"`
	Bounds     []Bound       `json:"bounds"`
}

// Bound is a figure and what it may be at most.
type Bound struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Most  float64 `json:"most"`
}

func (b Bound) kept() bool { return b.Value <= b.Most }

// judge derives the bounds from what was measured.
func (r *Report) judge() {
	mockup, plain, ratios := r.columns()
	operator, controlPlane := r.Idle[stacktest.Operator], r.Idle[stacktest.ControlPlane]
	r.Bounds = []Bound{
		{"apply to Ready, ratio of the medians", float64(median(mockup)) / float64(median(plain)), maxRatio},
		{"apply to Ready, median of the ratios", median(ratios), maxRatio},
		{"no-op reconcile, writes to Podman", float64(r.NoOp.Writes), 0},
		{"operator, resident MiB", mebibytes(operator.RSS), mebibytes(maxOperatorRSS)},
		{"control plane, resident MiB", mebibytes(controlPlane.RSS), mebibytes(maxControlPlaneRSS)},
		{"both idle, % of one core", 100 * (operator.CPU + controlPlane.CPU), 100 * maxIdleCPU},
	}
}

func (r *Report) columns() (mockup, plain []time.Duration, ratios []float64) {
	for _, p := range r.Pairs {
		mockup, plain, ratios = append(mockup, p.Mockup), append(plain, p.Plain), append(ratios, p.ratio())
	}
	return mockup, plain, ratios
}

// broken names the bounds that do not hold.
func (r *Report) broken() (names []string) {
	for _, b := range r.Bounds {
		if !b.kept() {
			names = append(names, fmt.Sprintf("%s: %.2f, at most %.2f", b.Name, b.Value, b.Most))
		}
	}
	return names
}

// print writes the table.
func (r *Report) print(out io.Writer) {
	mockup, plain, ratios := r.columns()
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(name string, cells ...string) {
		fmt.Fprintln(t, strings.Join(append([]string{name}, cells...), "\t")+"\t")
	}
	row(fmt.Sprintf("apply to Ready, %d pairs", len(r.Pairs)), "min", "median", "max")
	row("mockup", spread(mockup)...)
	row("plain kube play", spread(plain)...)
	row("ratio within a pair", number(slices.Min(ratios)), number(median(ratios)), number(slices.Max(ratios)))
	row("")
	row(fmt.Sprintf("no-op reconcile, %d times", len(r.NoOp.Times)), "min", "median", "max", "Podman calls", "writes")
	row("mockup", append(spread(r.NoOp.Times), fmt.Sprint(r.NoOp.Calls), fmt.Sprint(r.NoOp.Writes))...)
	row("")
	row("idle for "+r.IdleWindow.String(), "RSS MiB", "PSS MiB", "peak MiB", "% of a core")
	for _, program := range []string{stacktest.Operator, stacktest.ControlPlane} {
		i := r.Idle[program]
		row(program, number(mebibytes(i.RSS)), number(mebibytes(i.PSS)), number(mebibytes(i.Peak)), number(100*i.CPU))
	}
	row("")
	row("bounds", "is", "at most")
	for _, b := range r.Bounds {
		verdict := "✓"
		if !b.kept() {
			verdict = "✗"
		}
		row(b.Name, number(b.Value), number(b.Most), verdict)
	}
	_ = t.Flush() // an error of out is nobody's concern here
	fmt.Fprintf(out, "\nload average before and after: %s\n", strings.Join(r.Load, " | "))
}

// save writes the report as JSON.
func (r *Report) save(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("saving the report: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("saving the report: %w", err)
	}
	return nil
}

func spread(times []time.Duration) (cells []string) {
	for _, d := range []time.Duration{slices.Min(times), median(times), slices.Max(times)} {
		cells = append(cells, d.Round(100*time.Microsecond).String())
	}
	return cells
}

// median of the values, the larger of the two in the middle if their number is even.
func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func number(v float64) string { return fmt.Sprintf("%.2f", v) }

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func load() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(content))
}
