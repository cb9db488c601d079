package node

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/vishvananda/netlink"
)

// TestWalls has three networks whose bridges the node would route between: no pod reaches another network, on purpose or by
// an address that it was told of, however often somebody flushes the firewall.
func TestWalls(t *testing.T) {
	must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644))
	one, two := newBridge(t, network24("one", "10.81.0.0/24")), newBridge(t, network24("two", "10.82.0.0/24"))
	inner := newBridge(t, network24("inner", "10.83.0.0/24"))
	inner.Internal = true
	bridges := map[string]*bridge{"one": one, "two": two, "inner": inner}
	pods := map[string]*testPod{}
	s := State{Owner: "o", Namespace: "default"}
	for i, network := range []string{"one", "two", "inner"} {
		b := bridges[network]
		b.Bridge = b.link.Attrs().Name
		s.Networks = append(s.Networks, b.Network)
		for j := range 2 {
			p := newPod(t, fmt.Sprintf("%s%d", network, j)).join(b, fmt.Sprintf("10.8%d.0.%d", i+1, 131+j))
			p.serve(80)
			pods[p.Name] = p
			s.Pods = append(s.Pods, p.with(p.Name))
		}
	}
	reaches := func(from, to string) bool {
		for _, address := range pods[to].Addresses {
			name, err := pods[from].reach("tcp", net.JoinHostPort(address.String(), "80"), silence)
			return err == nil && name == to
		}
		return false
	}
	apart := func() error {
		for _, pair := range [][2]string{{"one0", "two0"}, {"two0", "one0"}, {"one0", "inner0"}, {"inner0", "one0"}, {"two1", "inner1"}} {
			if reaches(pair[0], pair[1]) {
				return fmt.Errorf("%s reaches %s", pair[0], pair[1])
			}
		}
		return nil
	}
	if apart() == nil {
		t.Fatal("this node does not route: the test could not fail")
	}
	put, client := startAgent(t, Options{})
	put(s)
	must(t, apart())
	for _, pair := range [][2]string{{"one0", "one1"}, {"two1", "two0"}, {"inner0", "inner1"}} {
		if !reaches(pair[0], pair[1]) {
			t.Errorf("%s does not reach %s, of its own network", pair[0], pair[1])
		}
	}
	if name, err := reach("tcp", net.JoinHostPort(pods["inner0"].Addresses["inner"].String(), "80"), second); err != nil || name != "inner0" {
		t.Errorf("the node does not reach a pod of an internal network: %q %v", name, err)
	}
	out, err := exec.Command("nft", "flush", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v %s", err, out)
	}
	eventually(t, 10*second, apart)
	must(t, client.Delete(t.Context(), s.Owner))
	if apart() == nil {
		t.Error("walls are left of an owner that is gone")
	}
	if _, err := netlink.LinkByName(one.Bridge); err != nil {
		t.Error(err)
	}
}
