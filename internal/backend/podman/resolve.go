package podman

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Podman's name server reads its records anew when it is signalled, some time after the call that changed them returned.
const (
	nameTimeout = time.Second
	namePause   = 5 * time.Millisecond
)

// errNotConfirmed says that a name was not seen to resolve in time. It is no failure: the server may answer for pods alone,
// and their network namespace may be out of reach.
var errNotConfirmed = errors.New("not confirmed")

// awaitName asks a network's name server, from within the pod's own network namespace as only pods are answered, until
// name leads to addr.
func awaitName(ctx context.Context, pid int, server netip.Addr, name string, addr netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialInside(ctx, pid, network, net.JoinHostPort(server.String(), "53"))
	}}
	for {
		found, err := resolver.LookupNetIP(ctx, "ip4", name+".")
		if err == nil && slices.ContainsFunc(found, func(a netip.Addr) bool { return a.Unmap() == addr }) {
			return nil
		}
		if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("entering the network namespace of process %d: %w: %w", pid, errNotConfirmed, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not lead to %s within %s: %w", name, addr, nameTimeout, errNotConfirmed)
		case <-time.After(namePause):
		}
	}
}

// dialInside opens a connection from the network namespace of a process. A socket belongs to the namespace of the thread
// that made it; that thread is not used again.
func dialInside(ctx context.Context, pid int, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // without unlocking: the thread ends with this goroutine
		conn, err := enterAndDial(ctx, pid, network, address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

func enterAndDial(ctx context.Context, pid int, network, address string) (net.Conn, error) {
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	defer func() { _ = namespace.Close() }()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("entering %s: %w", namespace.Name(), err)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}
