package node

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// addressWorld has two pods that may bear 10.77.0.10, and one that asks for it.
func addressWorld(t testing.TB) (State, map[string]*testPod) {
	t.Helper()
	b, second := newBridge(t, network24("fix", "10.77.0.0/24")), newBridge(t, network24("fix2", "10.78.0.0/24"))
	pods := map[string]*testPod{}
	s := State{Owner: "o", Namespace: "default", Networks: []Network{b.Network, second.Network}}
	for i, name := range []string{"a", "b", "asker"} {
		p := newPod(t, name).join(b, fmt.Sprintf("10.77.0.%d", 131+i)).join(second, fmt.Sprintf("10.78.0.%d", 131+i))
		p.serve(80)
		pods[name] = p
		s.Pods = append(s.Pods, p.with())
	}
	return s, pods
}

// give the fixed addresses to one pod.
func give(s State, to string) State {
	for i := range s.Pods {
		s.Pods[i].Fixed = nil
		if s.Pods[i].Name == to {
			s.Pods[i].Fixed = map[string]netip.Addr{"fix": netip.MustParseAddr("10.77.0.10"), "fix2": netip.MustParseAddr("10.78.0.10")}
		}
	}
	return s
}

// addresses that a pod has, with the interface of each.
func (p *testPod) addresses() string {
	text := ""
	must(p.t, p.inside(func() error {
		links, err := netlink.LinkList()
		for _, link := range links {
			all, listErr := netlink.AddrList(link, netlink.FAMILY_V4)
			must(p.t, listErr)
			for _, a := range all {
				if !a.IP.IsLoopback() {
					text += link.Attrs().Name + "=" + a.IPNet.String() + " "
				}
			}
		}
		return err
	}))
	return text
}

func TestFixedAddressesMove(t *testing.T) {
	s, pods := addressWorld(t)
	put, _ := startAgent(t, Options{})
	for i, holder := range []string{"a", "b", "a", "b"} {
		if answer := put(give(s, holder)); len(answer.Failures) > 0 {
			t.Fatal(answer)
		}
		moved := time.Now()
		for _, address := range []string{"10.77.0.10:80", "10.78.0.10:80"} {
			eventually(t, second, func() error {
				who, err := pods["asker"].reach("tcp", address, 100*time.Millisecond)
				if err == nil && who != holder {
					err = fmt.Errorf("%s answers at %s, not %s", who, address, holder)
				}
				return err
			})
		}
		t.Logf("move %d took %s for a peer that knew the old holder", i, time.Since(moved))
		if who, err := reach("tcp", "10.77.0.10:80", second); err != nil || who != holder {
			t.Errorf("the node reaches %s: %v", who, err)
		}
	}
	put(give(s, "nobody"))
	for name, p := range pods {
		last := p.Addresses["fix"].As4()[3]
		if got, want := p.addresses(), fmt.Sprintf("eth0=10.77.0.%d/24 eth1=10.78.0.%d/24 ", last, last); got != want {
			t.Errorf("in the end %s has %s, want %s", name, got, want)
		}
	}
}

// A fixed address is for those who ask: what the pod says by itself comes from the address that Podman gave.
func TestSourceStaysPrimary(t *testing.T) {
	s, pods := addressWorld(t)
	put, _ := startAgent(t, Options{})
	put(give(s, "a"))
	for _, to := range []string{"10.77.0.133:80", "10.77.0.1:53", "10.78.0.133:80"} {
		must(t, pods["a"].inside(func() error {
			conn, err := net.DialTimeout("tcp4", to, 10*second)
			if err != nil {
				return err
			}
			defer conn.Close()
			if from := conn.LocalAddr().(*net.TCPAddr).IP.To4()[3]; from != 131 {
				t.Errorf("to %s from %s", to, conn.LocalAddr())
			}
			return nil
		}))
	}
}

// Only addresses that bear our mark are taken away, and those are taken wherever they are found.
func TestOnlyOurAddressesAreTouched(t *testing.T) {
	s, pods := addressWorld(t)
	put, _ := startAgent(t, Options{})
	put(give(s, "a"))
	byHand := map[string]string{"b": "10.77.0.50/24", "asker": "192.0.2.7/24"}
	for pod, a := range byHand {
		must(t, pods[pod].inside(func() error {
			link, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			return netlink.AddrAdd(link, address(netip.MustParsePrefix(a).Addr(), 24))
		}))
	}
	without := s
	without.Pods = s.Pods[1:] // the holder retires and lives on for a while
	put(give(without, "b"))
	for pod, want := range map[string]string{
		"a":     "eth0=10.77.0.131/24 eth1=10.78.0.131/24 ",
		"b":     "eth0=10.77.0.132/24 eth0=10.77.0.50/24 eth0=10.77.0.10/24 eth1=10.78.0.132/24 eth1=10.78.0.10/24 ",
		"asker": "eth0=10.77.0.133/24 eth0=192.0.2.7/24 eth1=10.78.0.133/24 ",
	} {
		if got := pods[pod].addresses(); got != want {
			t.Errorf("%s has %s, want %s", pod, got, want)
		}
	}
}

// A pod that fails keeps no fixed address, and one that was taken by hand is given again.
func TestFixedAddressOfAFailure(t *testing.T) {
	s, pods := addressWorld(t)
	put, _ := startAgent(t, Options{})
	put(give(s, "a"))
	must(t, pods["a"].inside(func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.AddrDel(link, address(netip.MustParseAddr("10.77.0.10"), 24))
	}))
	put(give(s, "a"))
	if who, err := pods["asker"].reach("tcp", "10.77.0.10:80", second); who != "a" {
		t.Errorf("an address taken by hand is not back: %v", err)
	}
	s.Pods[0].Egress = &Rules{Allow: []Rule{{Ports: []Port{{Protocol: "none"}}}}}
	if answer := put(give(s, "a")); answer.Failures["a"] == "" {
		t.Fatal("no failure")
	}
	if got, want := pods["a"].addresses(), "eth0=10.77.0.131/24 eth1=10.78.0.131/24 "; got != want {
		t.Errorf("a has %s, want %s", got, want)
	}
	s.Pods[0].Egress = nil
	s.Pods[0].Addresses = map[string]netip.Addr{"fix": netip.MustParseAddr("10.77.0.200")}
	if answer := put(give(s, "a")); answer.Failures["a"] == "" {
		t.Error("an address that the pod has not is no failure")
	}
}
