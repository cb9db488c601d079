package e2e

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2" //nolint:revive // specs read best without a qualifier
	. "github.com/onsi/gomega"    //nolint:revive // matchers read best without a qualifier
	"golang.org/x/sys/unix"
)

// address that Podman gave a pod of the sample on one of its networks.
func address(pod, network string) string {
	GinkgoHelper()
	infra := must("podman", "pod", "inspect", pod, "--format", "{{.InfraContainerID}}")
	return must("podman", "inspect", infra, "--format", `{{(index .NetworkSettings.Networks "default-mockup-`+network+`").IPAddress}}`)
}

// lookUp asks a DNS server from within a pod's network namespace.
func lookUp(pod, server, name string) []string {
	GinkgoHelper()
	infra := must("podman", "pod", "inspect", pod, "--format", "{{.InfraContainerID}}")
	pid := must("podman", "inspect", infra, "--format", "{{.State.Pid}}")
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialInside(ctx, "/proc/"+pid+"/ns/net", network, net.JoinHostPort(server, "53"))
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	addresses, err := resolver.LookupNetIP(ctx, "ip4", name+".")
	if err != nil {
		return nil
	}
	var out []string
	for _, a := range addresses {
		out = append(out, netip.Addr.Unmap(a).String())
	}
	slices.Sort(out)
	return out
}

// dialInside opens a connection from another network namespace: a socket belongs to that in which it was made.
func dialInside(ctx context.Context, namespace, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends with this goroutine
		fd, err := unix.Open(namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			done <- result{nil, err}
			return
		}
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			done <- result{nil, err}
			return
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

var _ = Describe("Service names", Ordered, func() {
	BeforeAll(func() { up(sample) })

	It("resolve in every form on each network of the pod", func() {
		for _, name := range []string{"mime-server", "mime-server.default", "mime-server.default.svc", "mime-server.default.svc.cluster.local"} {
			Expect(resolve(podOf("public-app"), name)).To(Equal([]string{address(podOf("mime-server"), "public")}), name)
		}
	})

	It("lead nowhere within a second when the pod is gone", func() {
		name := func() []string { return resolve(podOf("gateway"), "intranet-api") }
		Expect(name()).To(HaveLen(1))
		must("podman", "pod", "rm", "--force", "--time", "0", podOf("intranet-api"))
		Eventually(name, time.Second, 10*time.Millisecond).Should(BeEmpty())
		Eventually(name, patience).Should(HaveLen(1))
		waitReady("default", "mockup")
	})
})
