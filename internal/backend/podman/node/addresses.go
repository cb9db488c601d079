package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// find the interface that has an address.
func (m *member) find(address netip.Addr) (netlink.Addr, bool) {
	for _, a := range m.addresses {
		if at, ok := netip.AddrFromSlice(a.IP); ok && at.Unmap() == address {
			return a, true
		}
	}
	return netlink.Addr{}, false
}

// release takes the fixed addresses from a pod that it should not bear, or not there; from one that failed, all.
func (m *member) release(s State, say *announcer) error {
	if m.routes == nil {
		return nil
	}
	if m.err != nil {
		m.Fixed = nil
	}
	var kept []netlink.Addr
	for _, a := range m.addresses {
		address, surplus := m.surplus(s, a)
		if !surplus {
			kept = append(kept, a)
			continue
		}
		say.no(address)
		link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: a.LinkIndex}}
		if err := m.routes.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("taking the fixed address %s from it: %w", address, err)
		}
	}
	m.addresses = kept
	return nil
}

// surplus tells whether the pod has an address that it should not. Only those in the subnets of the owner's networks that
// bear our mark are looked at: never the one that Podman gave.
func (m *member) surplus(s State, a netlink.Addr) (netip.Addr, bool) {
	address, ok := netip.AddrFromSlice(a.IP)
	address = address.Unmap()
	if !ok || a.Flags&unix.IFA_F_NOPREFIXROUTE == 0 {
		return address, false
	}
	for _, n := range s.Networks {
		if !n.Subnet.Contains(address) || m.Addresses[n.Name] == address {
			continue
		}
		if m.former {
			return address, m.Fixed[n.Name] == address
		}
		own, _ := m.find(m.Addresses[n.Name])
		return address, m.Fixed[n.Name] != address || own.LinkIndex != a.LinkIndex
	}
	return address, false
}

// assign gives a pod the fixed addresses that it has not yet, and tells their neighbours.
func (m *member) assign(s State, say *announcer) error {
	if m.former {
		return nil
	}
	for _, n := range s.Networks {
		fixed, wanted := m.Fixed[n.Name]
		if !wanted {
			continue
		}
		if !n.Subnet.Contains(fixed) {
			return fmt.Errorf("fixed address %s is not in subnet %s of network %s", fixed, n.Subnet, n.Name)
		}
		if _, has := m.find(fixed); has {
			continue
		}
		own, on := m.find(m.Addresses[n.Name])
		if !on {
			return fmt.Errorf("it can't bear the fixed address %s: it is not on network %s", fixed, n.Name)
		}
		if err := m.bear(fixed, n.Subnet.Bits(), own.LinkIndex); err != nil {
			return err
		}
		if err := say.yes(m, fixed, own.LinkIndex); err != nil {
			return fmt.Errorf("announcing its fixed address %s: %w", fixed, err)
		}
	}
	return nil
}

// bear adds a second address. Without a route of its own it is never the source of what the pod sends by itself; the flag
// for that is our mark as well, for Podman's addresses don't have it.
func (m *member) bear(fixed netip.Addr, bits, index int) error {
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
	address := &netlink.Addr{
		IPNet: &net.IPNet{IP: fixed.AsSlice(), Mask: net.CIDRMask(bits, fixed.BitLen())},
		Flags: unix.IFA_F_NOPREFIXROUTE,
	}
	if err := m.routes.AddrAdd(link, address); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("giving it the fixed address %s: %w", fixed, err)
	}
	return nil
}
