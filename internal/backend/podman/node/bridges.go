package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// linkBuffer is the size in bytes of the buffer for news of interfaces, which come in bursts.
	linkBuffer = 1 << 20
	// relisten is the pause before news of interfaces are asked for again.
	relisten = time.Second
)

// bridges keeps up the interfaces behind networks. A bridge is made with the first container that is on it and goes with
// the last, at any time. Two things are missing of it:
//   - The node's address, on internal networks, unless Podman serves names there itself.
//   - A MAC of its own. It has the lowest of its ports', so that it changes when containers come and go; and the pods, which
//     have learnt another one for the node, reach neither the name server nor anybody outside until they learn anew.
type bridges struct {
	log *slog.Logger

	mu sync.Mutex
	// wanted by the interface.
	wanted map[string]wantedBridge
	// pinned have been given a MAC of their own, by the interface's index.
	pinned map[int]bool
}

type wantedBridge struct {
	address netip.Prefix
	// bare bridges get no address from Podman.
	bare bool
}

// serve gives the bridges of owners' networks what is missing, now and whenever they are made anew.
func (b *bridges) serve(owners map[string]told) error {
	wanted := map[string]wantedBridge{}
	for _, t := range owners {
		for _, n := range t.State.Networks {
			if n.Bridge != "" {
				wanted[n.Bridge] = wantedBridge{netip.PrefixFrom(n.Gateway, n.Subnet.Bits()), n.Internal}
			}
		}
	}
	b.mu.Lock()
	b.wanted = wanted
	b.mu.Unlock()
	return b.all()
}

// all bridges get what is missing.
func (b *bridges) all() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var problems []error
	for name, wanted := range b.wanted {
		problems = append(problems, b.complete(name, wanted))
	}
	return errors.Join(problems...)
}

// one bridge gets what is missing.
func (b *bridges) one(bridge string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if wanted, known := b.wanted[bridge]; known {
		if err := b.complete(bridge, wanted); err != nil {
			b.log.Error("a bridge that is new", "error", err.Error())
		}
	}
}

// complete a bridge; one that is not there is when it comes.
func (b *bridges) complete(name string, wanted wantedBridge) error {
	link, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at the bridge %s: %w", name, err)
	}
	if err := b.pin(link); err != nil || !wanted.bare {
		return err
	}
	return giveAddress(link, wanted.address)
}

// pin the MAC that a bridge has now: one that was set by hand the kernel leaves alone (br_stp_recalculate_bridge_id,
// net/bridge/br_stp_if.c).
func (b *bridges) pin(link netlink.Link) error {
	index := link.Attrs().Index
	if b.pinned[index] {
		return nil
	}
	if err := netlink.LinkSetHardwareAddr(link, link.Attrs().HardwareAddr); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("giving the bridge %s a MAC of its own: %w", link.Attrs().Name, err)
	}
	if b.pinned == nil {
		b.pinned = map[int]bool{}
	}
	b.pinned[index] = true
	return nil
}

// watch waits for new bridges until ctx ends.
func (b *bridges) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if err := b.listen(ctx); err != nil {
			b.log.Error("listening for new bridges", "error", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(relisten):
		}
	}
}

// listen until the kernel's news end, as when they came too fast.
func (b *bridges) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	news := make(chan netlink.LinkUpdate)
	var lost error
	err := netlink.LinkSubscribeWithOptions(news, ctx.Done(), netlink.LinkSubscribeOptions{
		ReceiveBufferSize: linkBuffer, ErrorCallback: func(err error) { lost = err },
	})
	if err != nil {
		return err
	}
	if err := b.all(); err != nil { // what came while nobody listened
		b.log.Error("bridges that are new", "error", err.Error())
	}
	for update := range news {
		if update.Header.Type == unix.RTM_NEWLINK {
			b.one(update.Attrs().Name)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return lost
}

// giveAddress to an interface that lacks it.
func giveAddress(link netlink.Link, address netip.Prefix) error {
	name := link.Attrs().Name
	has, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("reading the addresses of the bridge %s: %w", name, err)
	}
	for _, a := range has {
		if a.IP.Equal(address.Addr().AsSlice()) {
			return nil
		}
	}
	wanted := &netlink.Addr{IPNet: &net.IPNet{IP: address.Addr().AsSlice(), Mask: net.CIDRMask(address.Bits(), 32)}}
	err = netlink.AddrAdd(link, wanted)
	if err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("giving the bridge %s the node's address %s: %w", name, address, err)
	}
	return nil
}
