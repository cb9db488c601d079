package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/test/stacktest"
)

// growth is how much the operator's resident memory may differ between the first cycle and the last, in bytes: what
// the garbage collector leaves is not even.
const growth = 24 << 20

// idleConnections is how many more files the operator may hold open after the last cycle than after the first:
// connections to Podman and to the control plane that wait for the next request. A leak of one in each of the default
// number of cycles goes beyond it.
const idleConnections = 12

var _ = Describe("Deleting and applying", func() {
	It("leaves nothing but the retained volume, with every byte in it", func(ctx SpecContext) {
		var memory []int64
		var descriptors []int
		for range *cycles {
			Eventually(well).WithContext(ctx).WithTimeout(recovery).WithPolling(lookPeriod).Should(Succeed())
			deleted, err := stack.Delete(ctx)
			Expect(err).NotTo(HaveOccurred())
			took("delete until gone", deleted)
			Eventually(leftovers).WithContext(ctx).WithTimeout(10 * time.Second).WithPolling(lookPeriod).Should(BeEmpty())
			pid, err := stack.PID(stacktest.Operator)
			Expect(err).NotTo(HaveOccurred())
			m, err := stacktest.MemoryOf(pid)
			Expect(err).NotTo(HaveOccurred())
			open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			Expect(err).NotTo(HaveOccurred())
			memory, descriptors = append(memory, m.RSS), append(descriptors, len(open))

			applied, err := stack.ApplyUntilReady(ctx)
			Expect(err).NotTo(HaveOccurred())
			took("apply until ready", applied)
			visitor, err = stack.Visitor(ctx) // the authority was deleted with the stack
			Expect(err).NotTo(HaveOccurred())
			intact(ctx)
		}
		fmt.Printf("operator after each delete: MiB %v, open files %v\n", inMebibytes(memory), descriptors)
		last := len(memory) - 1
		Expect(memory[last]-memory[0]).To(BeNumerically("<", growth), "the operator grows: %v", memory)
		Expect(descriptors[last]).To(BeNumerically("<=", descriptors[0]+idleConnections), "the operator leaves files open: %v", descriptors)
	}, NodeTimeout(50*time.Minute))
})

func inMebibytes(bytes []int64) (m []int64) {
	for _, b := range bytes {
		m = append(m, b>>20)
	}
	return m
}

// leftovers names whatever is there of a stack that is gone: on Podman, in the kernel, and in the control plane.
func leftovers(ctx SpecContext) ([]string, error) {
	var found []string
	for kind, kept := range map[string][]string{
		"pod": nil, "container": nil, "secret": nil, "network": {"podman"}, "volume": {"default-mockup-mime-storage"},
	} {
		args := []string{kind, "ls", "--format", "{{.Name}}"}
		if kind == "container" {
			args = []string{"ps", "--all", "--format", "{{.Names}}"}
		}
		names, err := lines(stack.Podman(ctx, args...))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if !slices.Contains(kept, name) {
				found = append(found, kind+" "+name)
			}
		}
	}
	var secrets corev1.SecretList
	if err := stack.API.List(ctx, &secrets, client.InNamespace(stacktest.Name.Namespace)); err != nil {
		return nil, err
	}
	for _, s := range secrets.Items {
		found = append(found, "Secret "+s.Name)
	}
	return append(found, inKernel()...), nil
}

// inKernel lists network namespaces and the processes that hold containers; a sandbox has no others.
func inKernel() (found []string) {
	namespaces, _ := filepath.Glob("/run/netns/*")
	found = append(found, namespaces...)
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, file := range names {
		if name, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(name)) == "conmon" {
			arguments, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline")) // processes come and go
			found = append(found, filepath.Dir(file)+" "+strings.ReplaceAll(string(arguments), "\x00", " "))
		}
	}
	return found
}
