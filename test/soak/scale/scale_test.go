// Package scale brings many stacks to real Podman at once, watches what all of it costs at rest, and changes one beside others
// that can't be had.
//
//	hack/sandbox go test ./test/soak/scale -stacks 25
package scale

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/test/stacktest"
)

var (
	stacks = flag.Int("stacks", 25, "how many stacks of four pods there are")
	settle = flag.Duration("settle", 30*time.Second, "how long the programs have to come to rest")
	window = flag.Duration("idle", 60*time.Second, "how long the programs are watched at rest; at least 30s count")
	times  = flag.Int("times", 7, "how often a service is changed, beside broken stacks and without; at least 7 count")
)

const (
	// maxIdle share of a core, all our programs and Podman's service together.
	maxIdle = 0.10
	// maxDelay is how many times longer a change may take beside broken stacks.
	maxDelay = 1.5
	// convergence bounds the time until all stacks are ready.
	convergence = 10 * time.Minute
	lookPeriod  = 50 * time.Millisecond
)

func TestScale(t *testing.T) {
	if *window < 30*time.Second || *times < 7 {
		t.Error("less idle time than 30 s, or fewer changes than 7: the figures are no evidence")
	}
	s, err := stacktest.New()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	defer func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		if err := s.Purge(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	converge(t, s)
	atRest(t, s)
	besideBroken(t, s)
}

func converge(t *testing.T, s *stacktest.Stack) {
	t.Helper()
	begin := time.Now()
	for n := range *stacks {
		create(t, s, n, func(*v1alpha1.MockupStack) {})
	}
	await(t, s, *stacks)
	pods, err := s.Podman(t.Context(), "pod", "ps", "--quiet")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%d stacks, %d pods: all ready after %s\n", *stacks, len(strings.Fields(pods)), time.Since(begin).Round(100*time.Millisecond))
}

// create makes the n-th variant of the sample, edited.
func create(t *testing.T, s *stacktest.Stack, n int, edit func(*v1alpha1.MockupStack)) client.ObjectKey {
	t.Helper()
	stack, err := s.Variant(n)
	if err != nil {
		t.Fatal(err)
	}
	edit(stack)
	if err := s.CreateIn(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	return client.ObjectKeyFromObject(stack)
}

// await returns when so many stacks are ready.
func await(t *testing.T, s *stacktest.Stack, wanted int) {
	t.Helper()
	for deadline := time.Now().Add(convergence); ; time.Sleep(lookPeriod * 4) {
		var all v1alpha1.MockupStackList
		if err := s.API.List(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		var waiting []string
		for i := range all.Items {
			if !stacktest.Ready(&all.Items[i]) {
				waiting = append(waiting, all.Items[i].Namespace+": "+stacktest.Describe(&all.Items[i]))
			}
		}
		if len(all.Items)-len(waiting) >= wanted {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d stacks are not ready:\n%s", len(waiting), len(all.Items), strings.Join(waiting, "\n"))
		}
	}
}

// atRest measures the processor time of each program while nobody asks for anything.
func atRest(t *testing.T, s *stacktest.Stack) {
	t.Helper()
	time.Sleep(*settle)
	pids := map[string]int{}
	for _, program := range []string{stacktest.Operator, stacktest.ControlPlane} {
		pid, err := s.PID(program)
		if err != nil {
			t.Fatal(err)
		}
		pids[program] = pid
	}
	pids["node agent"] = processOf(t, "mockup\x00node\x00")
	pids["Podman service"] = pidIn(t, "/run/podman/podman.pid")
	before, begin, whole := used(t, pids), time.Now(), sandboxCPU()
	time.Sleep(*window)
	after, took := used(t, pids), time.Since(begin)
	sum := 0.0
	for name, pid := range pids {
		share := float64(after[name]-before[name]) / float64(took)
		sum += share
		m, err := stacktest.MemoryOf(pid)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("  %-15s %6.2f %% of a core, %4d MiB resident\n", name, 100*share, m.RSS>>20)
	}
	fmt.Printf("at rest for %s: %.2f %% of a core in all, at most %.0f %% is allowed\n", took.Round(time.Second), 100*sum, 100*maxIdle)
	if whole > 0 {
		fmt.Printf("everything in the sandbox, containers and what runs their probes included: %.2f %% of a core\n",
			100*float64(sandboxCPU()-whole)/float64(took))
	}
	if sum > maxIdle {
		t.Errorf("at rest %.2f %% of a core is used, at most %.0f %% is allowed", 100*sum, 100*maxIdle)
	}
}

func used(t *testing.T, pids map[string]int) map[string]time.Duration {
	t.Helper()
	out := map[string]time.Duration{}
	for name, pid := range pids {
		d, err := stacktest.CPUTime(pid)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = d
	}
	return out
}

// sandboxCPU is what the whole sandbox has used, where the kernel counts it for its cgroup; 0 where it does not.
func sandboxCPU() time.Duration {
	content, err := os.ReadFile("/sys/fs/cgroup/cpuacct/cpuacct.usage")
	if err != nil {
		content, _ = os.ReadFile("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage")
	}
	ns, _ := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	return time.Duration(ns)
}

// processOf finds the one process whose command line holds the words.
func processOf(t *testing.T, words string) int {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), words) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return pid
		}
	}
	t.Fatalf("no process is %q", words)
	return 0
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatalf("%s holds %q", file, content)
	}
	return pid
}

// besideBroken changes a service of a stack again and again, in turn alone and beside two stacks that can't be had: of one an
// image is missing, of one no program starts.
func besideBroken(t *testing.T, s *stacktest.Stack) {
	t.Helper()
	var alone, beside []time.Duration
	for n := range *times {
		alone = append(alone, changed(t, s, 2*n))
		broken := []client.ObjectKey{
			create(t, s, *stacks, func(b *v1alpha1.MockupStack) { b.Spec.Services[0].Image = "localhost/mockup/nobody-has-it:v1" }),
			create(t, s, *stacks+1, func(b *v1alpha1.MockupStack) {
				for i := range b.Spec.Services {
					b.Spec.Services[i].Command = []string{"/no/such/program"}
				}
			}),
		}
		for _, key := range broken {
			stalled(t, s, key)
		}
		beside = append(beside, changed(t, s, 2*n+1))
		for _, key := range broken {
			remove(t, s, key)
		}
	}
	fmt.Printf("a changed service was ready after %s, and after %s beside two broken stacks (medians of %d; worst %s and %s)\n",
		median(alone), median(beside), *times, slices.Max(alone), slices.Max(beside))
	if float64(median(beside)) > maxDelay*float64(median(alone)) {
		t.Errorf("broken stacks delay another: %s instead of %s", median(beside), median(alone))
	}
}

// stalled waits until the stack says that it can't be had, and what of it can be had is there or has failed: until then its pods
// are played for the first time, and take processors as those of any new stack do.
func stalled(t *testing.T, s *stacktest.Stack, key client.ObjectKey) {
	t.Helper()
	stack := &v1alpha1.MockupStack{}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(lookPeriod) {
		if err := s.API.Get(t.Context(), key, stack); err != nil {
			t.Fatal(err)
		}
		if meta.IsStatusConditionTrue(stack.Status.Conditions, v1alpha1.ConditionStalled) && !starting(stack) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("stack %s is broken and does not say so, or goes on starting: %s, %+v", key, stacktest.Describe(stack), stack.Status.Services)
		}
	}
}

// starting tells whether a workload has neither been ready nor failed yet.
func starting(stack *v1alpha1.MockupStack) bool {
	return slices.ContainsFunc(append(slices.Clone(stack.Status.Services), *stack.Status.Gateway), func(w v1alpha1.WorkloadStatus) bool {
		return w.Phase == "Pending" || w.Phase == "Progressing"
	})
}

// remove deletes a stack and waits until it is gone.
func remove(t *testing.T, s *stacktest.Stack, key client.ObjectKey) {
	t.Helper()
	stack := &v1alpha1.MockupStack{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	if err := s.API.Delete(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(lookPeriod) {
		err := s.API.Get(t.Context(), key, stack)
		if apierrors.IsNotFound(err) {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("stack %s does not go: %v, %s", key, err, stacktest.Describe(stack))
		}
	}
}

// changed is how long it takes from a change of an environment variable until it is rolled out.
func changed(t *testing.T, s *stacktest.Stack, colour int) time.Duration {
	t.Helper()
	key := client.ObjectKey{Namespace: "variant-0", Name: stacktest.Name.Name}
	begin := time.Now()
	err := s.Edit(t.Context(), key, func(stack *v1alpha1.MockupStack) {
		service := &stack.Spec.Services[1]
		service.Env = slices.DeleteFunc(service.Env, func(e v1alpha1.EnvVar) bool { return e.Name == "COLOUR" })
		service.Env = append(service.Env, v1alpha1.EnvVar{Name: "COLOUR", Value: strconv.Itoa(colour)})
	})
	if err != nil {
		t.Fatal(err)
	}
	for stack := (&v1alpha1.MockupStack{}); !stacktest.Ready(stack); time.Sleep(lookPeriod) {
		if err := s.API.Get(t.Context(), key, stack); err != nil {
			t.Fatal(err)
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("a changed service is not ready after a minute: %s", stacktest.Describe(stack))
		}
	}
	return time.Since(begin).Round(10 * time.Millisecond)
}

func median(values []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
