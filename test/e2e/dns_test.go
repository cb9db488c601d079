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
			Expect(resolve("default-mockup-public-app-0", name)).To(Equal([]string{"172.18.0.4"}), name)
		}
	})
})
