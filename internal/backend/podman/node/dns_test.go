package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
)

const second = time.Second

func writeFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// A query that comes while records change is answered by the old ones or the new ones, by every transport.
func TestNoQueryIsLost(t *testing.T) {
	first, _, pods := twoOwners(t)
	put, _ := startAgent(t, Options{ResolvConf: writeFile(t, "")})
	put(first)
	var asked, wrong atomic.Int64
	var stop atomic.Bool
	var wait sync.WaitGroup
	for _, transport := range []string{"udp", "udp", "udp", "tcp"} {
		wait.Go(func() {
			for !stop.Load() {
				asked.Add(1)
				if got := found(pods["web"].ask(transport, first.Networks[1].Gateway, "api", dns.TypeA)); got != "10.72.0.131" && got != "10.72.0.132" {
					wrong.Add(1)
					t.Errorf("by %s: %s", transport, got)
				}
			}
		})
	}
	swaps := 0
	for ; swaps < 100 || asked.Load() < 1000; swaps++ {
		first.Pods[1].Services, first.Pods[2].Services = first.Pods[2].Services, first.Pods[1].Services
		put(first)
	}
	stop.Store(true)
	wait.Wait()
	t.Logf("%d queries, %d swaps, %d wrong", asked.Load(), swaps, wrong.Load())
}

// upstreamServer answers every name with its own address, after a while.
func upstreamServer(t testing.TB, at string, answers bool) {
	t.Helper()
	packets, err := net.ListenPacket("udp4", at)
	must(t, err)
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if !answers {
			return
		}
		reply := new(dns.Msg).SetReply(q)
		reply.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: packets.LocalAddr().(*net.UDPAddr).IP,
		}}
		_ = w.WriteMsg(reply)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { packets.Close() })
}

func TestUpstream(t *testing.T) {
	first, _, pods := twoOwners(t)
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(lo))
	upstreamServer(t, "127.0.0.53:53", true)
	upstreamServer(t, "127.0.0.54:53", false)
	file := writeFile(t, "nameserver 127.0.0.53\n")
	put, _ := startAgent(t, Options{ResolvConf: file})
	put(first)
	gateway := first.Networks[0].Gateway
	want := func(what, name, want string, atLeast, atMost time.Duration) {
		t.Helper()
		start := time.Now()
		got := found(pods["web"].ask("udp", gateway, name, dns.TypeA))
		took := time.Since(start)
		if got != want || took < atLeast || took > atMost {
			t.Errorf("%s: %s for %s after %s, want %s after %s to %s", what, got, name, took, want, atLeast, atMost)
		}
	}
	want("a living one", "example.com", "127.0.0.53", 0, second)
	must(t, os.WriteFile(file, []byte("nameserver 127.0.0.54\nnameserver 127.0.0.53\n"), 0o600))
	want("the second of two", "example.com", "127.0.0.53", upstreamStagger, second)
	must(t, os.WriteFile(file, []byte("nameserver "+gateway.String()+"\n"), 0o600))
	want("our own address", "example.com", "SERVFAIL", 0, second)

	must(t, os.WriteFile(file, []byte("nameserver 127.0.0.54\n# dead\n"), 0o600))
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			want("a dead one", fmt.Sprintf("n%d.example.com", i), "SERVFAIL", upstreamTimeout, upstreamTimeout+second)
		})
	}
	time.Sleep(100 * time.Millisecond) // they wait now
	for range 20 {
		want("beside those who wait", "api", "10.72.0.131", 0, 200*time.Millisecond)
	}
	wait.Wait()
}

// Podman makes a bridge with its first container and removes it with the last.
func TestBridgeComesAndGoes(t *testing.T) {
	n := network24("late", "10.74.0.0/24")
	put, _ := startAgent(t, Options{})
	put(State{Owner: "o", Namespace: "default", Networks: []Network{n}})
	for range 2 {
		b := newBridge(t, n)
		p := newPod(t, "late").join(b, "10.74.0.130")
		put(State{Owner: "o", Namespace: "default", Networks: []Network{n}, Pods: []Pod{p.with("late")}})
		for _, transport := range []string{"udp", "tcp"} {
			if got := found(p.ask(transport, n.Gateway, "late", dns.TypeA)); got != "10.74.0.130" {
				t.Errorf("got %s by %s", got, transport)
			}
		}
		p.remove()
		must(t, netlink.LinkDel(b.link))
	}
}

// An internal network has no address of the node before the agent gives it one: at once, and to every bridge that takes the
// place of the last, whether anyone tells it or not.
func TestInternalBridge(t *testing.T) {
	n := internal(network24("inner", "10.74.1.0/24"))
	n.Bridge = "br-inner"
	put, _ := startAgent(t, Options{})
	state := State{Owner: "o", Namespace: "default", Networks: []Network{n}, Pods: []Pod{{
		Name: "there", Addresses: map[string]netip.Addr{"inner": netip.MustParseAddr("10.74.1.130")}, Services: []string{"there"},
	}}}
	put(state)
	for range 3 {
		b := newBareBridge(t, n)
		eventually(t, second, func() error {
			all, err := netlink.AddrList(b.link, netlink.FAMILY_V4)
			if err == nil && len(all) == 0 {
				err = errors.New("the bridge has no address")
			}
			return err
		})
		p := newPod(t, "inner").joinWithout(b, "10.74.1.131")
		if got := found(p.ask("tcp", n.Gateway, "there", dns.TypeA)); got != "10.74.1.130" {
			t.Error(got)
		}
		p.remove()
		must(t, netlink.LinkDel(b.link))
	}
	b := newBareBridge(t, n)
	put(state)
	must(t, netlink.AddrDel(b.link, address(n.Gateway, 24)))
	put(state)
	if err := netlink.AddrDel(b.link, address(n.Gateway, 24)); err != nil {
		t.Errorf("after an address was taken by hand: %v", err)
	}
}

// A network's sockets are closed with it, and who holds its address is told.
func TestSocketsOfNetworks(t *testing.T) {
	n := network24("mine", "10.75.0.0/24")
	b := newBridge(t, n)
	foreign, err := net.ListenPacket("udp4", netip.AddrPortFrom(n.Gateway, dnsPort).String())
	must(t, err)
	_, client := startAgent(t, Options{})
	state := State{Owner: "o", Namespace: "default", Networks: []Network{n}}
	if _, err := client.Put(t.Context(), state); err == nil {
		t.Fatal("names are served at an address that another server has")
	} else {
		t.Log(err)
	}
	must(t, foreign.Close())
	eventually(t, 5*second, func() error { _, err := client.Put(t.Context(), state); return err })
	must(t, client.Delete(t.Context(), "o"))
	eventually(t, 5*second, func() error {
		again, err := net.ListenPacket("udp4", netip.AddrPortFrom(b.Gateway, dnsPort).String())
		if err == nil {
			again.Close()
		}
		return err
	})
}

// A bridge has the lowest MAC of its ports, unless it was given one. When that changes, pods send what they have for the node,
// questions for names first of all, to nobody, until they learn anew.
func TestBridgeKeepsItsMAC(t *testing.T) {
	n := network24("steady", "10.74.2.0/24")
	n.Bridge = "br-steady"
	b := newBridge(t, n)
	put, _ := startAgent(t, Options{})
	put(State{Owner: "o", Namespace: "default", Networks: []Network{n}})
	mac := func() string {
		must(t, b.find())
		return b.link.Attrs().HardwareAddr.String()
	}
	before := mac()
	for i := range 8 { // of random MACs, one is lower than the first but once in 256 runs
		p := newPod(t, fmt.Sprintf("steady%d", i)).join(b, fmt.Sprintf("10.74.2.%d", 130+i))
		if got := mac(); got != before {
			t.Fatalf("the bridge had the MAC %s and has %s with %d pods", before, got, i+1)
		}
		defer p.remove()
	}
}
