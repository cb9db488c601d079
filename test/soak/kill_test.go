package soak

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"mockup.dev/mockup/test/stacktest"
)

// container as `podman ps` lists it.
type container struct {
	Names   []string
	PodName string
	Pid     int
	State   string
	IsInfra bool
}

// containers of the sample, infra containers included, in the order of their pods' names.
func containers(ctx SpecContext) ([]container, error) {
	out, err := stack.Podman(ctx, "ps", "--all", "--pod", "--format", "json")
	if err != nil {
		return nil, err
	}
	var found []container
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		return nil, fmt.Errorf("reading the list of containers: %w", err)
	}
	slices.SortFunc(found, func(a, b container) int { return strings.Compare(a.PodName, b.PodName) })
	return found, nil
}

// pick the i-th main or infra container, beginning anew after the last.
func pick(ctx SpecContext, i int, infra bool) container {
	GinkgoHelper()
	found, err := containers(ctx)
	Expect(err).NotTo(HaveOccurred())
	found = slices.DeleteFunc(found, func(c container) bool { return c.IsInfra != infra })
	Expect(found).To(HaveLen(4), "the sample has four pods")
	c := found[i%len(found)]
	Expect(c.Pid).To(BeNumerically(">", 1), "%v has no process", c.Names)
	return c
}

// replaced is nil when eight containers run and none of them in the process that was killed.
func replaced(ctx SpecContext, pid int) error {
	found, err := containers(ctx)
	if err != nil {
		return err
	}
	running := 0
	for _, c := range found {
		if c.Pid == pid {
			return fmt.Errorf("%v is said to run in process %d, which was killed", c.Names, pid)
		}
		if c.State == "running" {
			running++
		}
	}
	if running != 8 || len(found) != 8 {
		return fmt.Errorf("%d of %d containers run, want 8 of 8", running, len(found))
	}
	return nil
}

func kill(pid int) {
	GinkgoHelper()
	Expect(syscall.Kill(pid, syscall.SIGKILL)).To(Succeed(), "killing process %d", pid)
}

func removePod(ctx SpecContext, name string) {
	GinkgoHelper()
	_, err := stack.Podman(ctx, "pod", "rm", "--force", "--time", "0", name)
	Expect(err).NotTo(HaveOccurred())
}

// killProgram kills a background program of mockup and returns a check that another has taken its place.
func killProgram(program string) func() error {
	GinkgoHelper()
	before, err := stack.PID(program)
	Expect(err).NotTo(HaveOccurred())
	kill(before)
	return func() error {
		now, err := stack.PID(program)
		if err == nil && now == before {
			err = fmt.Errorf("the %s is still process %d, which was killed", program, before)
		}
		return err
	}
}

// restartPodman kills Podman's service, with a container that dies while it is away, and starts it anew as systemd
// would.
func restartPodman(victim container) {
	GinkgoHelper()
	const pidFile, socket = "/run/podman/podman.pid", "unix:///run/podman/podman.sock"
	content, err := os.ReadFile(pidFile)
	Expect(err).NotTo(HaveOccurred())
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	Expect(err).NotTo(HaveOccurred())
	kill(pid)
	kill(victim.Pid)
	service := exec.Command("podman", "system", "service", "--time=0", socket)
	service.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CONTAINER_HOST=") })
	Expect(service.Start()).To(Succeed())
	go func() { _ = service.Wait() }() // it ends with the sandbox, or by the next kill
	Expect(os.WriteFile(pidFile, []byte(strconv.Itoa(service.Process.Pid)+"\n"), 0o644)).To(Succeed())
}

var _ = Describe("After", func() {
	// gone does harm to the i-th pod, and returns a check that it is made good.
	DescribeTable("all is well again, and every byte is there",
		func(ctx SpecContext, what string, harm func(ctx SpecContext, i int) func() error) {
			for i := range *kills {
				Eventually(well).WithContext(ctx).WithTimeout(recovery).WithPolling(lookPeriod).Should(Succeed())
				upload(ctx, 256<<10) // acknowledged just before
				begin := time.Now()
				good := harm(ctx, i)
				Eventually(func(ctx SpecContext) error {
					if err := well(ctx); err != nil {
						return err
					}
					return good()
				}).WithContext(ctx).WithTimeout(recovery).WithPolling(lookPeriod).Should(Succeed(), "%s, repetition %d", what, i+1)
				took(what, time.Since(begin))
				intact(ctx)
			}
		},
		func(what string, _ func(SpecContext, int) func() error) string { return what },
		harmed("kill -9 of Podman's service and of a container meanwhile", func(ctx SpecContext, i int) func() error {
			victim := pick(ctx, i, false)
			restartPodman(victim)
			return func() error { return replaced(ctx, victim.Pid) }
		}),
		harmed("kill -9 of a container", func(ctx SpecContext, i int) func() error {
			victim := pick(ctx, i, false)
			kill(victim.Pid)
			return func() error { return replaced(ctx, victim.Pid) }
		}),
		harmed("podman pod rm -f", func(ctx SpecContext, i int) func() error {
			victim := pick(ctx, i, false)
			removePod(ctx, victim.PodName)
			return func() error { return replaced(ctx, victim.Pid) }
		}),
		harmed("kill -9 of an infra container", func(ctx SpecContext, i int) func() error {
			victim := pick(ctx, i, true)
			kill(victim.Pid)
			return func() error { return replaced(ctx, victim.Pid) }
		}),
		harmed("kill -9 of the operator and podman pod rm -f meanwhile", func(ctx SpecContext, i int) func() error {
			victim := pick(ctx, i, false)
			other := killProgram(stacktest.Operator)
			removePod(ctx, victim.PodName)
			return func() error {
				if err := other(); err != nil {
					return err
				}
				return replaced(ctx, victim.Pid)
			}
		}),
		harmed("kill -9 of the control plane", func(SpecContext, int) func() error {
			return killProgram(stacktest.ControlPlane)
		}),
	)
})

// harmed is an entry with time for all its repetitions.
func harmed(what string, harm func(ctx SpecContext, i int) func() error) TableEntry {
	return Entry(nil, what, harm, NodeTimeout(30*time.Minute))
}
