// Package rollout changes a stack under a steady load, beside plain `podman kube play --replace` in the same run: what is
// rolled out or reloaded loses no request, and what can't be rolled out is away no longer than `mockup plan` said before.
//
//	hack/test e2e -run TestRollout
//	hack/sandbox go test ./test/rollout -rounds 10
package rollout

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/format"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/load"
	"mockup.dev/mockup/test/stacktest"
)

var (
	rounds = flag.Int("rounds", 1, "how many times the ten changes of services and the five of routes are made")
	rate   = flag.Int("rate", 200, "requests in a second; below 200 the figures are no evidence")
)

func TestRollout(t *testing.T) {
	RegisterFailHandler(Fail)
	format.MaxLength = 0 // logs are part of messages
	RunSpecs(t, "changes under load")
}

const (
	// gatewayAddress of the sample. Requests name localhost, and are sent here: a client that tries ::1 as well would try twice.
	gatewayAddress = "127.0.0.1:8443"
	// patience bounds a change; it is generous, since machines may be loaded.
	patience = time.Minute
	// requestTimeout is what a visitor would bear; beyond it, a request has failed.
	requestTimeout = 5 * time.Second
	lookPeriod     = 50 * time.Millisecond
)

var (
	stack  *stacktest.Stack
	client *http.Client
)

var _ = BeforeSuite(func(ctx SpecContext) {
	if *rounds < 1 || *rate < 200 {
		Fail("-rounds must be at least 1 and -rate at least 200")
	}
	var err error
	stack, err = stacktest.New()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) { Expect(stack.Purge(ctx)).To(Succeed()) }, NodeTimeout(2*time.Minute))
	Expect(stack.Up(ctx)).To(Succeed())
	ca, err := os.ReadFile(stack.CA())
	Expect(err).NotTo(HaveOccurred())
	client, err = load.NewClient(ca, gatewayAddress)
	Expect(err).NotTo(HaveOccurred())
	plant(ctx)
}, NodeTimeout(4*time.Minute))

var _ = JustAfterEach(func(ctx SpecContext) {
	if CurrentSpecReport().Failed() {
		fmt.Println(stack.Logs())
		there, err := stack.Podman(ctx, "ps", "--all", "--format", "{{.Names}}: {{.Status}}, {{.Restarts}} restarts, exit code {{.ExitCode}}")
		fmt.Println(there, err)
		for _, service := range []string{"public-app", "intranet-api", "mime-server"} {
			said, err := stack.Mockup(ctx, "logs", service, "--tail", "15")
			fmt.Println("==", service, err, "\n"+said)
		}
	}
})

// start sends the kinds of requests through the gateway.
func start(ctx SpecContext, atMost time.Duration, c *http.Client, kinds ...load.Kind) *load.Run {
	GinkgoHelper()
	run, err := load.Start(ctx, load.Options{Rate: *rate, Timeout: requestTimeout, AtMost: atMost, Client: c}, kinds...)
	Expect(err).NotTo(HaveOccurred())
	return run
}

// change edits the stack's specification.
func change(ctx SpecContext, edit func(*v1alpha1.MockupStackSpec)) {
	GinkgoHelper()
	Expect(stack.Edit(ctx, stacktest.Name, func(s *v1alpha1.MockupStack) { edit(&s.Spec) })).To(Succeed())
}

// settled waits until the stack is ready as it is specified now; pods that serve no more may still be ending.
func settled(ctx SpecContext) {
	GinkgoHelper()
	Eventually(func(ctx SpecContext) error {
		found, err := stack.Get(ctx)
		if err == nil && !stacktest.Ready(found) {
			err = fmt.Errorf("the stack is not ready: %s", stacktest.Describe(found))
		}
		return err
	}).WithContext(ctx).WithTimeout(patience).WithPolling(lookPeriod).Should(Succeed())
}

// containers are the IDs of the running main containers of a component.
func containers(ctx SpecContext, component string) []string {
	GinkgoHelper()
	out, err := stack.Podman(ctx, "ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}")
	Expect(err).NotTo(HaveOccurred())
	var ids []string
	for line := range strings.Lines(out) {
		if name, id, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(name, "default-mockup-"+component+"-") && !strings.Contains(name, "-test-") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func service(spec *v1alpha1.MockupStackSpec, name string) *v1alpha1.Service {
	GinkgoHelper()
	i := slices.IndexFunc(spec.Services, func(s v1alpha1.Service) bool { return s.Name == name })
	Expect(i).To(BeNumerically(">=", 0), "the sample has no service %s", name)
	return &spec.Services[i]
}
