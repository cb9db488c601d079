package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Variables of an agent that a test starts by this very program.
const (
	envIdle  = "NODE_TEST_IDLE"
	envBuild = "NODE_TEST_BUILD"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "node" {
		os.Exit(runAgent(os.Args[3]))
	}
	links, err := net.Interfaces()
	if os.Geteuid() != 0 || err != nil || len(links) != 1 {
		fmt.Fprintln(os.Stderr, "these tests make network interfaces and listen on port 53: run them in namespaces of their own,\n"+
			"  hack/sandbox --no-service go test ./internal/backend/podman/node")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// runAgent is what `mockup node --dir DIR` does, with a patience that tests can wait for.
func runAgent(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	idle, _ := time.ParseDuration(os.Getenv(envIdle))
	o := Options{Dir: dir, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)), Idle: idle}
	var err error
	if build := os.Getenv(envBuild); build != "" {
		err = run(ctx, o.withDefaults(), build)
	} else {
		err = Run(ctx, o)
	}
	if errors.As(err, new(*RunningError)) {
		return ExitRunning
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// bridge is a network as Podman makes it.
type bridge struct {
	Network
	link netlink.Link
}

func network24(name, subnet string) Network {
	prefix := netip.MustParsePrefix(subnet)
	return Network{Name: name, Subnet: prefix, Gateway: prefix.Addr().Next()}
}

func newBridge(t testing.TB, n Network) *bridge {
	t.Helper()
	b := newBareBridge(t, n)
	must(t, netlink.AddrAdd(b.link, address(n.Gateway, n.Subnet.Bits())))
	return b
}

// newBareBridge has no address of the node, as those of internal networks.
func newBareBridge(t testing.TB, n Network) *bridge {
	t.Helper()
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br-" + n.Name}}
	must(t, netlink.LinkAdd(link))
	t.Cleanup(func() { _ = netlink.LinkDel(link) })
	must(t, netlink.LinkSetUp(link))
	return &bridge{n, link}
}

// find the interface of a bridge that is there already.
func (b *bridge) find() (err error) {
	b.link, err = netlink.LinkByName("br-" + b.Name)
	return err
}

func address(a netip.Addr, bits int) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, 32)}}
}

// testPod is a network namespace.
type testPod struct {
	Pod
	t      testing.TB
	handle netns.NsHandle
	// outer are the ends of its interfaces on the node.
	outer []netlink.Link
}

func newPod(t testing.TB, name string) *testPod {
	t.Helper()
	p := &testPod{t: t, Pod: Pod{Name: name, Addresses: map[string]netip.Addr{}}}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: it ends with the goroutine
		handle, err := netns.NewNamed(fmt.Sprintf("%s-%d", name, os.Getpid()))
		p.handle = handle
		done <- err
	}()
	must(t, <-done)
	p.NetNS = filepath.Join("/run/netns", fmt.Sprintf("%s-%d", name, os.Getpid()))
	t.Cleanup(p.remove)
	must(t, p.inside(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	}))
	return p
}

// remove the namespace, as when the pod ends.
func (p *testPod) remove() {
	for _, link := range p.outer {
		_ = netlink.LinkDel(link) // else it stays for a moment after the namespace
	}
	p.outer = nil
	if p.handle.IsOpen() {
		_ = p.handle.Close()
		_ = netns.DeleteNamed(filepath.Base(p.NetNS))
	}
}

func (p *testPod) inside(do func() error) error { return inside(p.handle, do) }

// join a bridge by a pair of interfaces, with an address, and the gateway as the way out unless there is one.
func (p *testPod) join(b *bridge, at string) *testPod { return p.attach(b, at, len(p.Addresses) == 0) }

// joinWithout a way out.
func (p *testPod) joinWithout(b *bridge, at string) *testPod { return p.attach(b, at, false) }

func (p *testPod) attach(b *bridge, at string, wayOut bool) *testPod {
	p.t.Helper()
	a := netip.MustParseAddr(at)
	eth := fmt.Sprintf("eth%d", len(p.Addresses))
	outer := fmt.Sprintf("v%s%d", p.Name, len(p.Addresses))
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: outer, MasterIndex: b.link.Attrs().Index}, PeerName: eth, PeerNamespace: netlink.NsFd(p.handle)}
	must(p.t, netlink.LinkAdd(pair))
	link, err := netlink.LinkByName(outer)
	must(p.t, err)
	must(p.t, netlink.LinkSetUp(link))
	p.outer = append(p.outer, link)
	must(p.t, p.inside(func() error {
		link, err := netlink.LinkByName(eth)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, address(a, b.Subnet.Bits())); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		if !wayOut {
			return nil
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: b.Gateway.AsSlice()})
	}))
	p.Addresses[b.Name] = a
	// An interface that was just made loses what is sent before the kernel has noticed its carrier.
	eventually(p.t, 10*second, func() error {
		return p.inside(func() error {
			link, err := netlink.LinkByName(eth)
			if err == nil && link.Attrs().OperState != netlink.OperUp {
				err = fmt.Errorf("%s of %s is %s", eth, p.Name, link.Attrs().OperState)
			}
			return err
		})
	})
	return p
}

// with is the pod as a State names it, bearing Services.
func (p *testPod) with(services ...string) Pod {
	pod := p.Pod
	pod.Services = services
	return pod
}

// ask for a name, at a gateway, by udp or tcp.
func (p *testPod) ask(transport string, gateway netip.Addr, name string, kind uint16) (*dns.Msg, error) {
	var reply *dns.Msg
	err := p.inside(func() (err error) {
		reply, err = ask(transport, gateway, name, kind, 5*time.Second)
		return err
	})
	return reply, err
}

func ask(transport string, gateway netip.Addr, name string, kind uint16, timeout time.Duration) (*dns.Msg, error) {
	client := &dns.Client{Net: transport, Timeout: timeout}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), kind), netip.AddrPortFrom(gateway, dnsPort).String())
	return reply, err
}

// found are the addresses in an answer, or the reason why there are none.
func found(reply *dns.Msg, err error) string {
	if err != nil {
		return err.Error()
	}
	if reply.Rcode != dns.RcodeSuccess {
		return dns.RcodeToString[reply.Rcode]
	}
	text := ""
	for _, rr := range reply.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			text += rr.A.String() + " "
		case *dns.PTR:
			text += rr.Ptr + " "
		}
	}
	if text == "" {
		return "nothing"
	}
	return text[:len(text)-1]
}

// serve a line at a port of the pod by udp and tcp: its own name.
func (p *testPod) serve(port int) {
	p.t.Helper()
	var stream net.Listener
	var packets net.PacketConn
	must(p.t, p.inside(func() (err error) {
		if stream, err = net.Listen("tcp4", fmt.Sprintf(":%d", port)); err != nil {
			return err
		}
		packets, err = net.ListenPacket("udp4", fmt.Sprintf(":%d", port))
		return err
	}))
	p.t.Cleanup(func() { stream.Close(); packets.Close() })
	go func() {
		for {
			conn, err := stream.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprint(conn, p.Name)
				_, _ = io.Copy(conn, conn) // and then an echo
			}()
		}
	}()
	go func() {
		buffer := make([]byte, 100)
		for {
			_, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = packets.WriteTo([]byte(p.Name), from)
		}
	}()
}

// reach tells who answers at an address, from within the pod; an error if nobody does in time.
func (p *testPod) reach(transport, address string, timeout time.Duration) (name string, err error) {
	err = p.inside(func() error {
		name, err = reach(transport, address, timeout)
		return err
	})
	return name, err
}

func reach(transport, address string, timeout time.Duration) (string, error) {
	conn, err := net.DialTimeout(transport+"4", address, timeout)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(timeout))
	if transport == "udp" {
		if _, err := conn.Write([]byte("who")); err != nil {
			return "", err
		}
	}
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	return string(buffer[:n]), err
}

// startAgent runs an agent in this process and tells it states. It ends with the test.
func startAgent(t testing.TB, o Options) (put func(State) Answer, client *Client) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent ended: %v", err)
		}
	})
	client, err := NewClient(ClientOptions{Dir: o.Dir, Command: []string{"/bin/false"}})
	must(t, err)
	eventually(t, 5*time.Second, func() error {
		_, err := os.Stat(SocketPath(o.Dir))
		return err
	})
	return func(s State) Answer {
		t.Helper()
		answer, err := client.Put(context.Background(), s)
		must(t, err)
		return answer
	}, client
}

// eventually calls check until it is content; what it last missed is what the test says.
func eventually(t testing.TB, timeout time.Duration, check func() error) {
	t.Helper()
	err := check()
	for deadline := time.Now().Add(timeout); err != nil; err = check() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", timeout, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
