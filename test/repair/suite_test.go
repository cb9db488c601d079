// Package repair measures how long a service is away when something of it dies, from the death until the resource says that
// it is ready and the gateway answers for it, beside what Podman does by itself for the same pod under plain kube play.
//
//	hack/test e2e -run TestRepair
//	hack/sandbox go test ./test/repair -stacks 8
package repair

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/format"

	"mockup.dev/mockup/test/stacktest"
)

var (
	stacks = flag.Int("stacks", 3, "how many stacks of four containers there are, each of which is killed once: a second crash of "+
		"the same one is held back on purpose")
	repeats = flag.Int("repeats", 7, "how many pods are removed, and how many infra containers killed; at least 7 count")
	alone   = flag.Duration("alone", 5*time.Second, "how long Podman alone is given to bring back what it does not")
)

func TestRepair(t *testing.T) {
	RegisterFailHandler(Fail)
	format.MaxLength = 0 // logs are part of messages
	RunSpecs(t, "repair of what dies")
}

// patience bounds a repair; it is generous, since machines may be loaded.
const patience = time.Minute

var (
	host     *stacktest.Stack
	all      []*subject
	statuses *history
	figures  table
)

var _ = BeforeSuite(func(ctx SpecContext) {
	if *stacks < 2 || *repeats < 7 {
		Fail("-stacks must be at least 2 and -repeats at least 7")
	}
	var err error
	host, err = stacktest.New()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) { Expect(host.Purge(ctx)).To(Succeed()) }, NodeTimeout(5*time.Minute))
	Expect(host.Start(ctx)).To(Succeed())
	statuses, err = follow(host)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(statuses.stop)
	begin := time.Now()
	for n := range *stacks {
		all = append(all, create(ctx, n))
	}
	for _, s := range all {
		s.arrive(ctx)
	}
	fmt.Printf("%d stacks were ready after %s\n", *stacks, time.Since(begin).Round(10*time.Millisecond))
}, NodeTimeout(10*time.Minute))

var _ = JustAfterEach(func() {
	if CurrentSpecReport().Failed() {
		fmt.Println(host.Logs())
	}
})

var _ = ReportAfterSuite("times", func(Report) { figures.print() })

// table of what was measured, in the order in which it was first.
type table struct {
	order []string
	times map[string][]time.Duration
	words map[string]string
}

func (t *table) took(what string, d time.Duration) {
	if t.times == nil {
		t.times, t.words = map[string][]time.Duration{}, map[string]string{}
	}
	if t.times[what] == nil {
		t.order = append(t.order, what)
	}
	t.times[what] = append(t.times[what], d)
}

// note says a thing that has no time.
func (t *table) note(what, words string) {
	t.order = append(t.order, what)
	t.words[what] = words
}

func (t *table) median(what string) time.Duration {
	sorted := slices.Sorted(slices.Values(t.times[what]))
	return sorted[len(sorted)/2]
}

func (t *table) worst(what string) time.Duration { return slices.Max(t.times[what]) }

func (t *table) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "\nuntil ready and answering again\ttimes\tmedian\tworst\t")
	for _, what := range t.order {
		if words := t.words[what]; words != "" {
			fmt.Fprintf(w, "%s\t\t%s\t\t\n", what, words)
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t\n", what, len(t.times[what]), round(t.median(what)), round(t.worst(what)))
	}
	_ = w.Flush() // standard output
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("load average: %s", load)
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
