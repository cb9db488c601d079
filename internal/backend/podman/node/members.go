package node

import (
	"errors"
	"fmt"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// member is a pod while a State is made true.
type member struct {
	Pod
	// former members are no pods of the State any more. All they get is their fixed addresses taken.
	former bool
	// netNS is zero for a pod on the node's own network.
	netNS  netNS
	handle netns.NsHandle
	routes *netlink.Handle
	// addresses that were found, and the interfaces that have them.
	addresses []netlink.Addr
	loaded    loaded
	err       error
}

// crew are all members.
type crew []*member

// open enters the namespaces of all pods. One that is gone is the failure of its pod alone.
func (a *agent) open(before, s State) crew {
	var w crew
	now := map[string]bool{}
	for _, p := range s.Pods {
		w = append(w, &member{Pod: p, handle: netns.None()})
		now[p.NetNS] = true
	}
	for _, p := range before.Pods {
		if len(p.Fixed) > 0 && !now[p.NetNS] {
			w = append(w, &member{Pod: p, handle: netns.None(), former: true})
		}
	}
	w.each(func(m *member) error { return m.open(a.own) })
	return w
}

// each calls do for every member that is well, all at once: the kernel takes its time to swap rules.
func (w crew) each(do func(*member) error) {
	var wait sync.WaitGroup
	for _, m := range w {
		if m.err == nil {
			wait.Go(func() { m.err = do(m) })
		}
	}
	wait.Wait()
}

// release is for those that failed as well: they bear no fixed addresses.
func (w crew) release(s State, say *announcer) {
	for _, m := range w {
		if err := m.release(s, say); err != nil && m.err == nil {
			m.err = err
		}
	}
}

func (w crew) close() {
	for _, m := range w {
		if m.routes != nil {
			m.routes.Close()
		}
		if m.handle.IsOpen() {
			_ = m.handle.Close()
		}
	}
}

func (w crew) failures() map[string]string {
	var all map[string]string
	for _, m := range w {
		if m.err != nil && !m.former {
			if all == nil {
				all = map[string]string{}
			}
			all[m.Name] = m.err.Error()
		}
	}
	return all
}

func (w crew) loaded() map[netNS]loaded {
	all := map[netNS]loaded{}
	for _, m := range w {
		if m.loaded != (loaded{}) {
			all[m.netNS] = m.loaded
		}
	}
	return all
}

// errNodeNetwork guards the node: rules for a pod must never be loaded there.
var errNodeNetwork = errors.New("it is on the node's own network, where it can have neither policies nor fixed addresses")

func (m *member) open(own netNS) (err error) {
	special := len(m.Fixed) > 0 || m.Ingress != nil || m.Egress != nil
	if m.NetNS == "" {
		if special {
			return errNodeNetwork
		}
		return nil
	}
	if m.handle, err = netns.GetFromPath(m.NetNS); err != nil {
		return fmt.Errorf("its network namespace is gone: %w", err)
	}
	id, err := identify(m.handle)
	if err != nil {
		return fmt.Errorf("looking at its network namespace: %w", err)
	}
	if id == own {
		if special {
			return errNodeNetwork
		}
		return nil
	}
	m.netNS = id
	err = inside(m.handle, func() (err error) {
		m.routes, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return fmt.Errorf("looking into its network namespace: %w", err)
	}
	return m.look()
}

// look reads the addresses.
func (m *member) look() (err error) {
	if m.addresses, err = m.routes.AddrList(nil, netlink.FAMILY_V4); err != nil {
		return fmt.Errorf("reading its addresses: %w", err)
	}
	if m.former {
		return nil
	}
	for name, address := range m.Addresses {
		if _, ok := m.find(address); !ok {
			return fmt.Errorf("no interface of it has the address %s of network %s", address, name)
		}
	}
	return nil
}
