package podman

import (
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// forgetConnections drops what the kernel remembers of connections through host ports to addresses that a pod has left.
// One that was never answered is remembered for two minutes (nf_conntrack_tcp_timeout_syn_sent): its client goes on
// knocking at the old address, and whoever comes from the same port of the same visitor meanwhile is led there, too,
// whatever the rules say by then.
func (b *Backend) forgetConnections(left []netip.Addr) {
	for _, addr := range left {
		filter := &netlink.ConntrackFilter{}
		if err := filter.AddIP(netlink.ConntrackReplySrcIP, net.IP(addr.AsSlice())); err != nil {
			b.log.V(1).Info("connections to an address that was left can't be told", "address", addr.String(), "error", err.Error())
			continue
		}
		n, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filter)
		if err != nil { // a rootless Podman's are not this process's to forget
			b.log.V(1).Info("connections to an address that was left are remembered", "address", addr.String(), "error", err.Error())
			continue
		}
		b.log.V(1).Info("connections to an address that was left are forgotten", "address", addr.String(), "connections", n)
	}
}

// leads are the addresses that host ports lead to.
func (k knownNetwork) leads() []netip.Addr {
	var out []netip.Addr
	if k.hostPorts {
		for _, e := range k.byNet {
			if e.addr.Is4() {
				out = append(out, e.addr)
			}
		}
	}
	return out
}

// left are the addresses that k led to and next does not.
func (k knownNetwork) left(next knownNetwork) []netip.Addr {
	return slices.DeleteFunc(k.leads(), func(a netip.Addr) bool { return slices.Contains(next.leads(), a) })
}
