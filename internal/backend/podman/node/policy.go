package node

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// direction of packets, and where they carry their peer's address.
type direction struct {
	chain  string
	hook   *nftables.ChainHook
	device expr.MetaKey
	// offsets of the peer's address in the headers of IPv4 and IPv6, in bytes.
	offset4, offset6 uint32
}

func ingress() direction {
	return direction{"input", nftables.ChainHookInput, expr.MetaKeyIIFNAME, 12, 8}
}

func egress() direction {
	return direction{"output", nftables.ChainHookOutput, expr.MetaKeyOIFNAME, 16, 24}
}

// match is the condition of a rule: all parts of it must hold.
type match []expr.Any

// compile tells what is accepted in one direction; all else is dropped. Each match is a rule of its own.
func (d direction) compile(rules *Rules, gateways []netip.Addr) ([]match, error) {
	all := []match{established(), d.loopback(), neighbourDiscovery()}
	for _, gateway := range gateways { // the node, which must always reach a pod, and serves it names
		all = append(all, d.peer(Peer{CIDR: netip.PrefixFrom(gateway, gateway.BitLen())}))
	}
	for _, rule := range rules.Allow {
		peers, ports := []match{nil}, []match{nil}
		if len(rule.Peers) > 0 {
			peers = nil
		}
		for _, peer := range rule.Peers {
			peers = append(peers, d.peer(peer))
		}
		if len(rule.Ports) > 0 {
			ports = nil
		}
		for _, p := range rule.Ports {
			port, err := compilePort(p)
			if err != nil {
				return nil, err
			}
			ports = append(ports, port)
		}
		for _, peer := range peers {
			for _, port := range ports {
				all = append(all, slices.Concat(peer, port))
			}
		}
	}
	return all, nil
}

// established are packets of connections that were allowed once, and errors about them.
func established() match {
	return match{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func (d direction) loopback() match {
	return device(d.device, expr.CmpOpEq, "lo")
}

// neighbourDiscovery is to IPv6 what ARP is to IPv4: without it nobody is a neighbour.
func neighbourDiscovery() match {
	const routerSolicitation, redirect = 133, 137
	return slices.Concat(protocol(unix.IPPROTO_ICMPV6), match{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: []byte{routerSolicitation}},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: []byte{redirect}},
	})
}

func (d direction) peer(p Peer) match {
	family := byte(unix.NFPROTO_IPV4)
	if p.CIDR.Addr().Is6() {
		family = unix.NFPROTO_IPV6
	}
	m := match{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{family})}
	m = append(m, d.address(p.CIDR, expr.CmpOpEq)...)
	for _, except := range p.Except {
		if except.Addr().Is6() == p.CIDR.Addr().Is6() { // one of the other family excepts nothing
			m = append(m, d.address(except, expr.CmpOpNeq)...)
		}
	}
	return m
}

// address compares the peer's address, as far as prefix goes.
func (d direction) address(prefix netip.Prefix, op expr.CmpOp) match {
	offset, address := d.offset4, prefix.Masked().Addr().AsSlice()
	if prefix.Addr().Is6() {
		offset = d.offset6
	}
	size := uint32(len(address))
	return match{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: mask(prefix), Xor: make([]byte, size)},
		&expr.Cmp{Op: op, Register: 1, Data: address},
	}
}

func mask(prefix netip.Prefix) []byte {
	all := make([]byte, prefix.Addr().BitLen()/8)
	for i := range prefix.Bits() {
		all[i/8] |= 0x80 >> (i % 8)
	}
	return all
}

func compilePort(p Port) (match, error) {
	protocols := map[string]byte{"TCP": unix.IPPROTO_TCP, "UDP": unix.IPPROTO_UDP, "SCTP": unix.IPPROTO_SCTP}
	number, ok := protocols[p.Protocol]
	if !ok {
		return nil, fmt.Errorf("protocol %q of a policy: TCP, UDP or SCTP expected", p.Protocol)
	}
	m := protocol(number)
	if p.Port == 0 {
		return m, nil
	}
	last := max(p.Port, p.EndPort)
	if p.EndPort != 0 && p.EndPort < p.Port {
		return nil, fmt.Errorf("ports %d to %d of a policy: the last is before the first", p.Port, p.EndPort)
	}
	return append(m,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, // destination port
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: binaryutil.BigEndian.PutUint16(p.Port)},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: binaryutil.BigEndian.PutUint16(last)},
	), nil
}

func protocol(number byte) match {
	return match{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{number})}
}

func equal(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }
