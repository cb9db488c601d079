package scale

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/controllers"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/memory"
	"mockup.dev/mockup/internal/controlplane/controlplanetest"
	"mockup.dev/mockup/manifests"
	"mockup.dev/mockup/test/stacktest"
)

// stacksVariable makes this test binary an operator of that many stacks, see TestMain.
const stacksVariable = "MOCKUP_SCALE_STACKS"

// TestMain is also the main function of the operators that are measured: each is a process of its own, so that the memory
// of one is no burden for the other's garbage collector.
func TestMain(m *testing.M) {
	if text := os.Getenv(stacksVariable); text != "" {
		if err := beOperator(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// result of a command to an operator.
type result struct {
	// CPU and Wall time of the command.
	CPU, Wall time.Duration
	Passes    int
	// Heap and RSS after a garbage collection, in bytes.
	Heap, RSS int64
}

// Commands that an operator reads from standard input, one a line; it answers each by a result on standard output.
const (
	pass   = "pass"   // look at every stack once
	slow   = "slow"   // look at every stack once while each Apply takes slowApply
	broken = "broken" // look at every stack once while one of them can't be had
)

const slowApply = 200 * time.Millisecond // much longer than the rest of a pass

func beOperator(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%s is %q", stacksVariable, text)
	}
	log.SetLogger(logr.Discard())
	dir, err := os.MkdirTemp("", "scale-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	config, stop, err := controlplanetest.Start(dir)
	if err != nil {
		return err
	}
	defer stop()
	o, err := newOperator(config)
	if err != nil {
		return err
	}
	first, err := o.fill(n)
	if err != nil {
		return err
	}
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(first); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
		r, err := o.do(commands.Text(), n)
		if err != nil {
			return err
		}
		if err := answers.Encode(r); err != nil {
			return fmt.Errorf("answering: %w", err)
		}
	}
	return nil
}

// operator is the controllers on a memory backend whose applies are counted.
type operator struct {
	world  *memory.World
	api    client.Client
	passes atomic.Int64
}

type counting struct {
	backend.Backend
	passes *atomic.Int64
}

func (c counting) Apply(ctx context.Context, set manifests.Set) (backend.Observation, error) {
	defer c.passes.Add(1)
	return c.Backend.Apply(ctx, set)
}

func newOperator(config *rest.Config) (*operator, error) {
	scheme := kruntime.NewScheme()
	for _, add := range []func(*kruntime.Scheme) error{corev1.AddToScheme, eventsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("making a scheme: %w", err)
		}
	}
	config.QPS = -1
	mgr, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		return nil, fmt.Errorf("making a manager: %w", err)
	}
	o := &operator{world: memory.NewWorld()}
	if o.api, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	if err := controllers.Setup(mgr, controllers.Options{Backend: counting{memory.New(o.world), &o.passes}}); err != nil {
		return nil, fmt.Errorf("setting up the controllers: %w", err)
	}
	go func() { _ = mgr.Start(context.Background()) }() // ends with the process
	return o, nil
}

// fill creates n stacks and waits until all are ready.
func (o *operator) fill(n int) (result, error) {
	ctx, begin := context.Background(), time.Now()
	sample, err := os.ReadFile("../../config/samples/mockup.yaml")
	if err != nil {
		return result{}, fmt.Errorf("reading the sample: %w", err)
	}
	errs := make(chan error, creators)
	for c := range creators {
		go func() {
			var err error
			for i := c; i < n && err == nil; i += creators {
				err = o.create(ctx, sample, i)
			}
			errs <- err
		}()
	}
	for range creators {
		if err := <-errs; err != nil {
			return result{}, err
		}
	}
	for deadline := time.Now().Add(fillTimeout); ; time.Sleep(time.Second) {
		ready, last, err := o.ready(ctx)
		if err != nil {
			return result{}, err
		}
		if ready == n {
			return measured(result{Wall: time.Since(begin), Passes: int(o.passes.Load())})
		}
		if time.Now().After(deadline) {
			return result{}, fmt.Errorf("%d of %d stacks are ready; one that is not: %s", ready, n, last)
		}
	}
}

// creators make stacks side by side; within fillTimeout all have to be ready.
const (
	creators    = 8
	fillTimeout = 15 * time.Minute
)

func (o *operator) create(ctx context.Context, sample []byte, i int) error {
	stack, err := stacktest.Variant(sample, i)
	if err != nil {
		return err
	}
	if err := o.api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: stack.Namespace}}); err != nil {
		return fmt.Errorf("creating a namespace: %w", err)
	}
	if err := o.api.Create(ctx, stack); err != nil {
		return fmt.Errorf("creating a stack: %w", err)
	}
	return nil
}

func (o *operator) ready(ctx context.Context) (ready int, last string, err error) {
	var stacks v1alpha1.MockupStackList
	if err := o.api.List(ctx, &stacks); err != nil {
		return 0, "", fmt.Errorf("listing the stacks: %w", err)
	}
	for i := range stacks.Items {
		if stacktest.Ready(&stacks.Items[i]) {
			ready++
		} else {
			last = stacktest.Describe(&stacks.Items[i])
		}
	}
	return ready, last, nil
}

// do has every stack looked at once.
func (o *operator) do(command string, n int) (result, error) {
	switch command {
	case slow:
		o.world.DelayApply(slowApply)
		defer o.world.DelayApply(0)
	case broken:
		o.world.FailApply(1, fmt.Errorf("this stack can't be had"))
	}
	runtime.GC() // each begins alike
	before, cpu, begin := o.passes.Load(), ownCPU(), time.Now()
	o.world.Break()
	for deadline := begin.Add(2 * time.Minute); o.passes.Load() < before+int64(n); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return result{}, fmt.Errorf("%d of %d stacks were looked at within 2 minutes", o.passes.Load()-before, n)
		}
	}
	r := result{CPU: ownCPU() - cpu, Wall: time.Since(begin), Passes: int(o.passes.Load() - before)}
	return measured(r)
}

func ownCPU() time.Duration {
	used, err := stacktest.CPUTime(os.Getpid())
	if err != nil {
		panic(err) // no /proc
	}
	return used
}

// measured adds what memory is in use.
func measured(r result) (result, error) {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	own, err := stacktest.MemoryOf(os.Getpid())
	r.Heap, r.RSS = int64(m.HeapAlloc), own.RSS
	return r, err
}

// child is an operator as its parent sees it.
type child struct {
	stacks  int
	in      io.Writer
	answers *json.Decoder
	first   result
}

func start(t *testing.T, stacks int) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), stacksVariable+"="+strconv.Itoa(stacks))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends then
		if err := cmd.Wait(); err != nil {
			t.Errorf("the operator of %d stacks: %v", stacks, err)
		}
	})
	c := &child{stacks: stacks, in: in, answers: json.NewDecoder(out)}
	return c
}

// filled waits until all stacks are there.
func (c *child) filled(t *testing.T) {
	t.Helper()
	if err := c.answers.Decode(&c.first); err != nil {
		t.Fatalf("the operator of %d stacks ended: %v", c.stacks, err)
	}
}

func (c *child) do(t *testing.T, command string) result {
	t.Helper()
	if _, err := fmt.Fprintln(c.in, command); err != nil {
		t.Fatalf("telling the operator of %d stacks: %v", c.stacks, err)
	}
	var r result
	if err := c.answers.Decode(&r); err != nil {
		t.Fatalf("the operator of %d stacks ended: %v", c.stacks, err)
	}
	return r
}
