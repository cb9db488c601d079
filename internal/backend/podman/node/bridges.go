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

// bridges gives the node its address on internal networks, where Podman gives it none unless it serves names there itself.
// A bridge is made with the first container that is on it and goes with the last, at any time.
type bridges struct {
	log *slog.Logger

	mu sync.Mutex
	// addresses by the interface that is to have them.
	addresses map[string]netip.Prefix
}

// serve gives the bridges of owners' internal networks their addresses, now and whenever they are made anew.
func (b *bridges) serve(owners map[string]told) error {
	addresses := map[string]netip.Prefix{}
	for _, t := range owners {
		for _, n := range t.State.Networks {
			if n.Internal && n.Bridge != "" {
				addresses[n.Bridge] = netip.PrefixFrom(n.Gateway, n.Subnet.Bits())
			}
		}
	}
	b.mu.Lock()
	b.addresses = addresses
	b.mu.Unlock()
	return b.all()
}

// all bridges get what is missing.
func (b *bridges) all() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var problems []error
	for bridge, address := range b.addresses {
		problems = append(problems, giveAddress(bridge, address))
	}
	return errors.Join(problems...)
}

// one bridge gets what is missing.
func (b *bridges) one(bridge string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if address, wanted := b.addresses[bridge]; wanted {
		if err := giveAddress(bridge, address); err != nil {
			b.log.Error("a bridge that is new", "error", err.Error())
		}
	}
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

// giveAddress to an interface; one that is not there gets it when it comes.
func giveAddress(bridge string, address netip.Prefix) error {
	link, err := netlink.LinkByName(bridge)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at the bridge %s: %w", bridge, err)
	}
	has, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("reading the addresses of the bridge %s: %w", bridge, err)
	}
	for _, a := range has {
		if a.IP.Equal(address.Addr().AsSlice()) {
			return nil
		}
	}
	wanted := &netlink.Addr{IPNet: &net.IPNet{IP: address.Addr().AsSlice(), Mask: net.CIDRMask(address.Bits(), 32)}}
	err = netlink.AddrAdd(link, wanted)
	if err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("giving the bridge %s the node's address %s: %w", bridge, address, err)
	}
	return nil
}
