// Package soak repeats what is seldom and must not go wrong: programs killed at their worst moment, and stacks made and
// removed again and again.
//
//	make soak
//	hack/test soak -kills 40 -cycles 100
//
// The defaults take some minutes. It ends with a table of times and fails when something does not come back, when a byte
// of what was uploaded is lost, or when something is left over.
package soak

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/format"

	"mockup.dev/mockup/test/stacktest"
)

var (
	kills  = flag.Int("kills", 4, "how many times each kill is repeated; four reach every pod of the sample")
	cycles = flag.Int("cycles", 20, "how many times the stack is deleted and applied again")
)

func TestSoak(t *testing.T) {
	RegisterFailHandler(Fail)
	format.MaxLength = 0 // logs are part of messages
	RunSpecs(t, "Soak")
}

const (
	// recovery bounds the time until all is well again.
	recovery = time.Minute
	// lookPeriod is the pause between two looks.
	lookPeriod = 50 * time.Millisecond
	// lookTimeout bounds a look: a request that was under way when the network of its server went is lost, here as on a
	// cluster, and who asks again does not wait for it.
	lookTimeout = time.Second
)

var (
	stack   *stacktest.Stack
	visitor *http.Client
	// uploaded are the digests of all files that were uploaded, by name.
	uploaded = map[string]string{}
	// times are what was measured, by what was done, in the order of order.
	times = map[string][]time.Duration{}
	order []string
)

var _ = BeforeSuite(func(ctx SpecContext) {
	if *kills < 1 || *cycles < 1 {
		Fail("-kills and -cycles must be at least 1")
	}
	var err error
	stack, err = stacktest.New()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) { Expect(stack.Purge(ctx)).To(Succeed()) }, NodeTimeout(2*time.Minute))
	up(ctx)
	upload(ctx, 4<<20)
}, NodeTimeout(3*time.Minute))

// A spec that failed may have left the stack in any state.
var _ = BeforeEach(up, NodeTimeout(3*time.Minute))

// up brings the sample up, or back, and visits it.
func up(ctx SpecContext) {
	Expect(stack.Up(ctx)).To(Succeed())
	var err error
	visitor, err = stack.Visitor(ctx)
	Expect(err).NotTo(HaveOccurred())
}

var _ = JustAfterEach(func() {
	if CurrentSpecReport().Failed() {
		GinkgoWriter.Println(stack.Logs())
	}
})

var _ = ReportAfterSuite("times", func(Report) {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "\nwhat\ttimes\tmedian\tworst")
	for _, what := range order {
		sorted := slices.Sorted(slices.Values(times[what]))
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", what, len(sorted), round(sorted[len(sorted)/2]), round(sorted[len(sorted)-1]))
	}
	_ = t.Flush() // standard output
	fmt.Printf("%d files intact\n", len(uploaded))
})

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

// took notes a time.
func took(what string, d time.Duration) {
	if times[what] == nil {
		order = append(order, what)
	}
	times[what] = append(times[what], d)
}

// upload stores a new file of random bytes and remembers its digest.
func upload(ctx SpecContext, size int) {
	GinkgoHelper()
	content := make([]byte, size)
	_, _ = rand.Read(content) // never fails, see crypto/rand
	name, err := stacktest.Upload(ctx, visitor, fmt.Sprintf("file-%d.bin", len(uploaded)), content)
	Expect(err).NotTo(HaveOccurred())
	sum := sha256.Sum256(content)
	uploaded[name] = hex.EncodeToString(sum[:])
}

// intact downloads every file that was ever uploaded.
func intact(ctx SpecContext) {
	GinkgoHelper()
	for name, want := range uploaded {
		sum, err := stacktest.SHA256(ctx, visitor, name)
		Expect(err).NotTo(HaveOccurred(), "the stack said that it was ready")
		Expect(sum).To(Equal(want), "%s is not what was uploaded", name)
	}
}

// well is nil when the resource says that it is ready and a visitor finds it so: page, store, and internal API, each
// through the gateway.
func well(spec SpecContext) error {
	ctx, cancel := context.WithTimeout(spec, lookTimeout)
	defer cancel()
	found, err := stack.Get(ctx)
	if err != nil {
		return err
	}
	if !stacktest.Ready(found) {
		return fmt.Errorf("the stack is not ready: %s", stacktest.Describe(found))
	}
	for name, want := range uploaded {
		sum, err := stacktest.SHA256(ctx, visitor, name)
		if err != nil {
			return err
		}
		if sum != want {
			return StopTrying(name + " is not what was uploaded")
		}
		break // one is enough here, see intact
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, stacktest.URL+"intranet/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := visitor.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the internal API answered %s", answer.Status)
	}
	return nil
}

// lines of a command's output, none if it is empty.
func lines(out string, err error) ([]string, error) {
	if err != nil || out == "" {
		return nil, err
	}
	return strings.Split(out, "\n"), nil
}
