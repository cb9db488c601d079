package podman

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"

	"mockup.dev/mockup/internal/backend"
)

// A pod that starts anew or is replaced has another address. The kernel goes on leading to the old one whom it led there
// before, and only the connections whose pod is gone may be forgotten.
func TestHostPortsLeadToWhoIsThere(t *testing.T) {
	p := newTrap(t)
	web, port := p.open("web")
	other := p.s.quiet("other") // without anybody on it, the network's bridge goes down, and all connections through it
	set := p.ready(web, other)

	// visit opens and ends a connection, and returns the port that it came from.
	visit := func() uint16 {
		t.Helper()
		var from uint16
		within(t, patience, func() error {
			c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				return err
			}
			from = uint16(c.LocalAddr().(*net.TCPAddr).Port)
			return c.Close()
		})
		if !remembered(t, from, port) {
			t.Fatal("the kernel does not remember the connection: it did not lead through the firewall")
		}
		return from
	}
	forgotten := func(from uint16) {
		t.Helper()
		within(t, 30*time.Second, func() error { // the kernel itself forgets after two minutes
			p.mustSettle(t, set)
			if remembered(t, from, port) {
				return fmt.Errorf("the kernel leads a connection from port %d to a pod that is gone", from)
			}
			return nil
		})
	}

	from := visit()
	if err := syscall.Kill(p.infraPID(p.pod("web", 0)), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	forgotten(from)

	from = visit()
	variable(web, "CHANGED", "yes")
	set = p.ready(web, other)
	forgotten(from)

	from = visit()
	p.mustSettle(t, set)
	if !remembered(t, from, port) {
		t.Error("the connection of a pod that stays was forgotten")
	}
	p.gone()
}

// open is a deployment with a host port.
func (p *trap) open(name string) (d *appsv1.Deployment, port int) {
	p.t.Helper()
	holder, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	defer holder.Close()
	d, port = p.s.deployment(name), holder.Addr().(*net.TCPAddr).Port
	mainOf(d).Ports[0].HostPort = int32(port)
	return d, port
}

// Podman holds a host port by a socket that listens and takes nothing, from before the kernel leads the port to the pod
// (libpod/container_internal_linux.go:91). Who comes in between is served or refused soon, and does not wait for ever.
func TestTrapConnectionsThatNobodyTakes(t *testing.T) {
	p := newTrap(t)
	web, port := p.open("web")
	set := p.ready(web, p.s.quiet("other"))

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var visitors errgroup.Group
	var served atomic.Int64
	for range 4 {
		visitors.Go(func() error {
			for ctx.Err() == nil {
				waits, err := visit(port)
				if waits {
					return fmt.Errorf("a visitor waits in the queue of nobody: %w", err)
				}
				if err == nil {
					served.Add(1)
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		})
	}
	for range 3 {
		pid := p.infraPID(p.pod("web", 0))
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		before := served.Load()
		err := p.reach(set, nil, func(seen backend.Observation) error {
			if now := p.infraPID(p.pod("web", 0)); now == pid || now == 0 || served.Load() == before {
				return fmt.Errorf("the infra container is process %d; %d visitors were served since", now, served.Load()-before)
			}
			return isSettledAs(set, seen)
		})
		if err != nil {
			t.Error(err)
			break
		}
	}
	leave()
	if err := visitors.Wait(); err != nil {
		t.Error(err)
	}
	p.gone()
}

// visit asks for a page and waits for the first byte of an answer. It tells whether the visitor waits for it where nobody
// takes connections, and not because a pod went away in the middle of an answer.
func visit(port int) (waits bool, err error) {
	const patience = 3 * time.Second
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
	if err != nil {
		return false, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience)) // can only fail on a connection that is closed
	if _, err := c.Write([]byte("GET /hello HTTP/1.0\r\n\r\n")); err != nil {
		return false, err
	}
	if _, err = c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		waits, lookErr := waitsInQueue(addressOf(c.RemoteAddr()), addressOf(c.LocalAddr()))
		return waits, errors.Join(err, lookErr)
	}
	return false, err
}

// remembered tells whether the kernel knows a connection from a port of this machine to a host port.
func remembered(t *testing.T, from uint16, to int) bool {
	t.Helper()
	flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range flows {
		if f.Forward.SrcPort == from && f.Forward.DstPort == uint16(to) {
			return true
		}
	}
	return false
}
