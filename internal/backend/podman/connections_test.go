package podman

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A pod that starts anew or is replaced has another address. The kernel goes on leading to the old one whom it led there
// before, and only the connections whose pod is gone may be forgotten.
func TestHostPortsLeadToWhoIsThere(t *testing.T) {
	p := newTrap(t)
	holder, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := holder.Addr().(*net.TCPAddr).Port
	_ = holder.Close()
	web := p.s.deployment("web")
	mainOf(web).Ports[0].HostPort = int32(port)
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
