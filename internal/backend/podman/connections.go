package podman

import (
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The kernel leads a connection through a host port where the rules led its first packet, whatever they say later. It
// remembers one that was never answered for two minutes (nf_conntrack_tcp_timeout_syn_sent): its client goes on knocking
// where nobody is, and whoever comes from the same port of the same visitor meanwhile is led there, too.

// arrived has host ports lead to where a pod has just come to, and nowhere else.
func (b *Backend) arrived(p podInfo, now knownNetwork) {
	if len(now.hostPorts) == 0 {
		return
	}
	here, err := net.InterfaceAddrs()
	if err != nil {
		b.log.V(1).Info("connections may lead to an address that was left", "pod", p.name, "error", err.Error())
		return
	}
	led := ledElsewhere{ports: now.hostPorts, to: now.leads()}
	for _, a := range here {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			led.here = append(led.here, prefix.Addr())
		}
	}
	b.forgetConnections(led)
	n, err := hangUp(now.hostPorts)
	switch {
	case err != nil: // a rootless Podman takes them and leads nobody astray
		b.log.V(1).Info("connections may wait where nobody takes them", "pod", p.name, "error", err.Error())
	case n > 0:
		b.log.V(1).Info("connections that nobody would have taken are ended", "pod", p.name, "connections", n)
	}
}

// unplugged is told that an infra container's networks are gone.
func (b *Backend) unplugged(infra string) {
	b.mu.Lock()
	known := b.nets[infra]
	b.mu.Unlock()
	if leads := known.leads(); len(leads) > 0 {
		b.forgetConnections(ledTo(leads))
	}
}

// forgetConnections drops what the kernel remembers of connections.
func (b *Backend) forgetConnections(which netlink.CustomConntrackFilter) {
	n, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, which)
	switch {
	case err != nil: // a rootless Podman's are not this process's to forget
		b.log.V(1).Info("connections to an address that was left are remembered", "error", err.Error())
	case n > 0:
		b.log.V(1).Info("connections to an address that was left are forgotten", "connections", n)
	}
}

// leads are the addresses that host ports lead to.
func (k knownNetwork) leads() []netip.Addr {
	var out []netip.Addr
	if len(k.hostPorts) > 0 {
		for _, e := range k.byNet {
			out = append(out, e.addr)
		}
	}
	return out
}

// ledTo are the connections that the kernel leads to some addresses.
type ledTo []netip.Addr

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (l ledTo) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	return slices.Contains(l, addrOf(f.Reverse.SrcIP))
}

// ledElsewhere are the connections to ports of addresses here that the kernel leads to other addresses than it now should.
type ledElsewhere struct {
	here, to []netip.Addr
	ports    []uint16
}

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (l ledElsewhere) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	return f.Forward.Protocol == unix.IPPROTO_TCP && slices.Contains(l.ports, f.Forward.DstPort) &&
		slices.Contains(l.here, addrOf(f.Forward.DstIP)) && !slices.Contains(l.to, addrOf(f.Reverse.SrcIP))
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
