package node

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// announcer tells neighbours by gratuitous ARP who has an address now: else they send to its former holder for up to half
// a minute.
type announcer struct {
	mu sync.Mutex
	// holder counts the changes of each address, so that no former holder speaks after the next.
	holder map[netip.Addr]int
}

func newAnnouncer() *announcer { return &announcer{holder: map[netip.Addr]int{}} }

// repeats are the pauses after which an announcement is made again: a bridge may lose a frame while it learns a port.
func repeats() []time.Duration {
	return []time.Duration{100 * time.Millisecond, 400 * time.Millisecond}
}

// no silences the holder of an address.
func (n *announcer) no(address netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.holder[address]++
}

// yes announces a pod as the holder of an address; when it returns, it has been said once.
func (n *announcer) yes(m *member, address netip.Addr, index int) error {
	link, err := m.routes.LinkByIndex(index)
	if err != nil {
		return err
	}
	v := voice{address: address, frame: gratuitousARP(link.Attrs().HardwareAddr, address), index: index}
	err = inside(m.handle, func() (err error) {
		v.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.holder[address]++
	v.turn = n.holder[address]
	n.mu.Unlock()
	if err := n.say(v); err != nil {
		_ = unix.Close(v.socket)
		return err
	}
	go func() {
		defer unix.Close(v.socket)
		for _, pause := range repeats() {
			time.Sleep(pause)
			if n.say(v) != nil {
				return // the pod is gone
			}
		}
	}()
	return nil
}

// voice of one holder of an address.
type voice struct {
	socket, index int
	address       netip.Addr
	turn          int
	frame         []byte
}

// say sends the frame to all neighbours, unless another pod has the address by now.
func (n *announcer) say(v voice) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.holder[v.address] != v.turn {
		return nil
	}
	return unix.Sendto(v.socket, v.frame, 0, &unix.SockaddrLinklayer{
		Protocol: networkOrder(unix.ETH_P_ARP), Ifindex: v.index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255},
	})
}

// gratuitousARP is a request for an address by the one who has it (RFC 5227, section 2.3).
func gratuitousARP(mac net.HardwareAddr, address netip.Addr) []byte {
	ip := address.As4()
	head := []byte{0, 1, unix.ETH_P_IP >> 8, unix.ETH_P_IP & 0xff, 6, 4, 0, 1} // Ethernet, IPv4, their lengths, request
	return slices.Concat(head, mac, ip[:], make([]byte, len(mac)), ip[:])
}

func networkOrder(v uint16) uint16 { return v<<8 | v>>8 }
