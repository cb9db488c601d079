package podman

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// waitsInQueue tells whether this host has the end called local of a TCP connection, and no program has taken it yet: the
// kernel knows it then, but as no file of anybody. One question about one connection: /proc/net/tcp would have the kernel
// walk through its table of all that there could be.
func waitsInQueue(local, remote netip.AddrPort) (bool, error) {
	request := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, 0)
	request.AddData(socketQuestion{local, remote})
	messages, err := request.Execute(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY)
	if errors.Is(err, unix.ENOENT) { // it ends elsewhere
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking for the connection from %s to %s: %w", remote, local, err)
	}
	for _, m := range messages {
		// struct inet_diag_msg of linux/inet_diag.h.
		const stateAt, inodeAt, size = 1, 68, 72
		if len(m) < size {
			return false, fmt.Errorf("asking for the connection from %s to %s: an answer of %d bytes", remote, local, len(m))
		}
		// Where there is no such connection, a socket that listens at the port answers for it.
		if m[stateAt] == tcpEstablished {
			return binary.NativeEndian.Uint32(m[inodeAt:]) == 0, nil
		}
	}
	return false, nil
}

// hangUp ends the connections to ports of this host that wait in a queue. Podman holds host ports by sockets that take
// nothing, from before the kernel leads them to a pod (libpod/container_internal_linux.go, prepare): whoever comes in
// between would wait for ever, and can come again now.
func hangUp(ports []uint16) (ended int, err error) {
	all, err := netlink.SocketDiagTCP(unix.AF_INET)
	if err != nil {
		return 0, fmt.Errorf("listing connections: %w", err)
	}
	for _, s := range all {
		if s.State != tcpEstablished || s.INode != 0 || !slices.Contains(ports, s.ID.SourcePort) {
			continue
		}
		local := &net.TCPAddr{IP: s.ID.Source, Port: int(s.ID.SourcePort)}
		remote := &net.TCPAddr{IP: s.ID.Destination, Port: int(s.ID.DestinationPort)}
		if err := netlink.SocketDestroy(local, remote); err != nil && !errors.Is(err, unix.ENOENT) {
			return ended, fmt.Errorf("ending the connection from %s to %s: %w", remote, local, err)
		}
		ended++
	}
	return ended, nil
}

// tcpEstablished is TCP_ESTABLISHED of net/tcp_states.h.
const tcpEstablished = 1

// socketQuestion is a struct inet_diag_req_v2 of linux/inet_diag.h that asks for one connection.
type socketQuestion struct{ local, remote netip.AddrPort }

func (q socketQuestion) Len() int { return 56 }

func (q socketQuestion) Serialize() []byte {
	const statesAt, localPortAt, remotePortAt, localAt, remoteAt, cookieAt = 4, 8, 10, 12, 28, 48
	b := make([]byte, q.Len())
	b[0], b[1] = unix.AF_INET, unix.IPPROTO_TCP
	if q.local.Addr().Is6() {
		b[0] = unix.AF_INET6
	}
	binary.NativeEndian.PutUint32(b[statesAt:], ^uint32(0))
	binary.BigEndian.PutUint16(b[localPortAt:], q.local.Port())
	binary.BigEndian.PutUint16(b[remotePortAt:], q.remote.Port())
	copy(b[localAt:], q.local.Addr().AsSlice())
	copy(b[remoteAt:], q.remote.Addr().AsSlice())
	binary.NativeEndian.PutUint64(b[cookieAt:], ^uint64(0)) // INET_DIAG_NOCOOKIE
	return b
}
