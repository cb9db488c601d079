package podman

import (
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// forgetConnections drops what the kernel remembers of connections through host ports to a pod that is gone. One that was never
// answered is remembered for two minutes (nf_conntrack_tcp_timeout_syn_sent), and whoever comes from the same port of the
// same visitor meanwhile is led to the old address, whatever the rules say by then.
func (b *Backend) forgetConnections(pod podInfo) {
	if pod.labels[labelHostPorts] == "" {
		return
	}
	for _, e := range b.networkOf(pod).byNet {
		if !e.addr.Is4() {
			continue
		}
		filter := &netlink.ConntrackFilter{}
		if err := filter.AddIP(netlink.ConntrackReplySrcIP, net.IP(e.addr.AsSlice())); err != nil {
			b.log.V(1).Info("connections to a pod that is gone can't be told", "pod", pod.name, "error", err.Error())
			return
		}
		n, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filter)
		if err != nil { // a rootless Podman's are not this process's to forget
			b.log.V(1).Info("connections to a pod that is gone are remembered", "pod", pod.name, "error", err.Error())
			return
		}
		b.log.V(1).Info("connections to a pod that is gone are forgotten", "pod", pod.name, "connections", n)
	}
}
