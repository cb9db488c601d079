package node

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/nftables"
)

// silence is how long nobody answers until a packet counts as dropped.
const silence = 150 * time.Millisecond

func peers(cidr string, except ...string) []Peer {
	p := Peer{CIDR: netip.MustParsePrefix(cidr)}
	for _, e := range except {
		p.Except = append(p.Except, netip.MustParsePrefix(e))
	}
	return []Peer{p}
}

// policyWorld has three pods of one network, each of which answers at ports 80, 81 and 90.
func policyWorld(t testing.TB) (State, map[string]*testPod) {
	t.Helper()
	b := newBridge(t, network24("flat", "10.76.0.0/24"))
	pods := map[string]*testPod{}
	s := State{Owner: "o", Namespace: "default", Networks: []Network{b.Network}}
	for i, name := range []string{"a", "b", "c"} {
		p := newPod(t, name).join(b, fmt.Sprintf("10.76.0.%d", 131+i))
		for _, port := range []int{80, 81, 90} {
			p.serve(port)
		}
		pods[name] = p
		s.Pods = append(s.Pods, p.with(name))
	}
	return s, pods
}

// answers tells whether a pair reaches each other, e.g. "a>b:80/tcp", the node being n.
func answers(pods map[string]*testPod, pair string, timeout time.Duration) bool {
	from, rest, _ := strings.Cut(pair, ">")
	to, port, _ := strings.Cut(rest, ":")
	number, transport, _ := strings.Cut(port, "/")
	call := reach
	if from != "n" {
		call = pods[from].reach
	}
	name, err := call(transport, net.JoinHostPort(pods[to].Addresses["flat"].String(), number), timeout)
	return err == nil && name == to
}

// reachable lists the pairs that reach each other without delay.
func reachable(pods map[string]*testPod, ports ...string) string {
	var pairs []string
	for _, from := range []string{"n", "a", "b", "c"} {
		for _, to := range []string{"a", "b", "c"} {
			for _, port := range ports {
				pairs = append(pairs, from+">"+to+":"+port)
			}
		}
	}
	reached := make([]bool, len(pairs))
	var wait sync.WaitGroup
	for i, pair := range pairs {
		wait.Go(func() { reached[i] = answers(pods, pair, silence) })
	}
	wait.Wait()
	var list []string
	for i, pair := range pairs {
		if reached[i] {
			list = append(list, pair)
		}
	}
	return strings.Join(list, " ")
}

// without takes the pairs that begin or end as given from all that there are.
func without(all string, parts ...string) string {
	var list []string
	for _, pair := range strings.Fields(all) {
		keep := true
		for _, part := range parts {
			keep = keep && !strings.Contains(pair, part)
		}
		if keep {
			list = append(list, pair)
		}
	}
	return strings.Join(list, " ")
}

func TestPolicies(t *testing.T) {
	s, pods := policyWorld(t)
	put, _ := startAgent(t, Options{})
	ports := []string{"80/tcp", "81/tcp", "90/tcp", "80/udp", "81/udp", "90/udp"}
	put(s)
	all := ""
	eventually(t, 10*second, func() error {
		all = reachable(pods, ports...)
		if n := len(strings.Fields(all)); n != 4*3*len(ports) {
			return fmt.Errorf("without policies only these pairs reach each other: %s", all)
		}
		return nil
	})
	toB := []string{"a>b", "c>b"}
	for _, c := range []struct {
		name            string
		ingress, egress *Rules
		// want is of all pairs what b's policies leave.
		want string
	}{
		{"nobody", &Rules{}, nil, without(all, toB...)},
		{"nowhere", nil, &Rules{}, without(all, "b>a", "b>c")},
		{"neither", &Rules{}, &Rules{}, without(all, "a>b", "c>b", "b>a", "b>c")},
		{"everyone", &Rules{Allow: []Rule{{}}}, &Rules{Allow: []Rule{{}}}, all},
		{"one peer", &Rules{Allow: []Rule{{Peers: peers("10.76.0.131/32")}}}, nil, without(all, "c>b")},
		{"one port", &Rules{Allow: []Rule{{Ports: []Port{{Protocol: "TCP", Port: 80}}}}}, nil,
			without(all, ">b:81/tcp", ">b:90/tcp", ">b:80/udp", ">b:81/udp", ">b:90/udp") + node(all, ">b:81/tcp", ">b:90/tcp", ">b:80/udp", ">b:81/udp", ">b:90/udp")},
		{"range of ports", nil, &Rules{Allow: []Rule{{Ports: []Port{{Protocol: "UDP", Port: 80, EndPort: 81}}}}},
			without(all, "b>a:80/tcp", "b>a:81/tcp", "b>a:90", "b>c:80/tcp", "b>c:81/tcp", "b>c:90")},
		{"a protocol", nil, &Rules{Allow: []Rule{{Ports: []Port{{Protocol: "TCP"}}}}},
			without(all, "b>a:80/udp", "b>a:81/udp", "b>a:90/udp", "b>c:80/udp", "b>c:81/udp", "b>c:90/udp")},
		{"all but one", &Rules{Allow: []Rule{{Peers: peers("10.76.0.0/24", "10.76.0.133/32", "10.76.0.192/26")}}}, nil, without(all, "c>b")},
		{"two rules", &Rules{Allow: []Rule{
			{Peers: peers("10.76.0.131/32"), Ports: []Port{{Protocol: "TCP", Port: 80}, {Protocol: "UDP", Port: 90}}},
			{Peers: append(peers("192.0.2.0/24"), peers("10.76.0.133/32")...)},
		}}, nil, without(all, "a>b:81", "a>b:80/udp", "a>b:90/tcp")},
		{"the other family", &Rules{Allow: []Rule{{Peers: peers("::/0")}}}, nil, without(all, toB...)},
		{"none any more", nil, nil, all},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Pods[1].Ingress, s.Pods[1].Egress = c.ingress, c.egress
			if answer := put(s); len(answer.Failures) > 0 {
				t.Fatal(answer)
			}
			got, want := fields(reachable(pods, ports...)), fields(c.want)
			for pair := range fields(all) {
				wanted := want[pair] || strings.HasPrefix(pair, "b>b") // a pod always reaches itself
				switch {
				// Asked twice, for a packet from the port of one that was allowed before goes on with its connection.
				case got[pair] && !wanted && answers(pods, pair, silence):
					t.Errorf("passes: %s", pair)
				case !got[pair] && wanted && !answers(pods, pair, 5*second): // a busy machine answers late
					t.Errorf("kept from passing: %s", pair)
				}
			}
			// The name server is the node's.
			if got := found(pods["b"].ask("udp", s.Networks[0].Gateway, "a", 1)); got != "10.76.0.131" {
				t.Errorf("the name server: %s", got)
			}
		})
	}
}

// node are the pairs from the node, which nothing keeps out.
func node(all string, parts ...string) string {
	var list strings.Builder
	for _, pair := range strings.Fields(all) {
		for _, part := range parts {
			if strings.HasPrefix(pair, "n>") && strings.Contains(pair, part) {
				list.WriteString(" " + pair)
			}
		}
	}
	return list.String()
}

func fields(text string) map[string]bool {
	all := map[string]bool{}
	for _, f := range strings.Fields(text) {
		all[f] = true
	}
	return all
}

// What was allowed once goes on; what is new is judged anew.
func TestConnectionsSurviveAPolicy(t *testing.T) {
	s, pods := policyWorld(t)
	put, _ := startAgent(t, Options{})
	s.Pods[1].Ingress = &Rules{Allow: []Rule{{Peers: peers("10.76.0.131/32")}}}
	put(s)
	var conn net.Conn
	must(t, pods["a"].inside(func() (err error) {
		conn, err = net.DialTimeout("tcp4", "10.76.0.132:80", 10*second)
		return err
	}))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * second))
	greeting := make([]byte, 1)
	_, err := conn.Read(greeting)
	must(t, err)
	for i := range 20 {
		s.Pods[1].Ingress = &Rules{Allow: []Rule{{Peers: peers(fmt.Sprintf("192.0.2.%d/32", i))}}}
		put(s)
		if _, err := fmt.Fprintf(conn, "%c", 'a'+i); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(greeting); err != nil || greeting[0] != byte('a'+i) {
			t.Fatalf("after change %d: %v", i, err)
		}
	}
	if who, err := pods["a"].reach("tcp", "10.76.0.132:80", silence); err == nil {
		t.Errorf("%s is still reached by a new connection", who)
	}
}

// Rules that were flushed, changed or removed by hand are back with the next pass; what is as it should be is not written.
func TestPoliciesAreRepaired(t *testing.T) {
	s, pods := policyWorld(t)
	put, _ := startAgent(t, Options{})
	s.Pods[1].Ingress = &Rules{}
	put(s)
	table := &nftables.Table{Name: policyTable, Family: nftables.TableFamilyINet}
	accept := nftables.ChainPolicyAccept
	for name, damage := range map[string]func(*nftables.Conn){
		"rules flushed":  func(c *nftables.Conn) { c.FlushTable(table) },
		"table removed":  func(c *nftables.Conn) { c.DelTable(table) },
		"all removed":    func(c *nftables.Conn) { c.FlushRuleset() },
		"policy changed": func(c *nftables.Conn) { c.AddChain(&nftables.Chain{Name: "input", Table: table, Policy: &accept}) },
		"rule added": func(c *nftables.Conn) {
			ingress := ingress()
			must(t, addChain(c, table, ingress, &Rules{Allow: []Rule{{}}}, nil))
		},
	} {
		must(t, pods["b"].inside(func() error {
			conn, err := nftables.New()
			must(t, err)
			damage(conn)
			return conn.Flush()
		}))
		if name != "rules flushed" { // that leaves the policy of the chain, which drops all, the node's packets as well
			if _, err := pods["a"].reach("tcp", "10.76.0.132:80", 5*second); err != nil {
				t.Errorf("%s: changed nothing", name)
			}
		}
		put(s)
		if _, err := pods["a"].reach("tcp", "10.76.0.132:80", silence); err == nil {
			t.Errorf("%s: not repaired", name)
		}
		if _, err := reach("tcp", "10.76.0.132:80", 5*second); err != nil {
			t.Errorf("%s: the node does not reach the pod: %v", name, err)
		}
	}
	if before := pods["b"].generation(); true {
		put(s)
		if after := pods["b"].generation(); after != before {
			t.Errorf("rules were written though they were as wanted: generation %d, then %d", before, after)
		}
	}
}

func (p *testPod) generation() (g uint32) {
	must(p.t, p.inside(func() (err error) { g, err = generation(); return err }))
	return g
}

// A large policy is one transaction as well.
func TestLargePolicy(t *testing.T) {
	s, pods := policyWorld(t)
	put, _ := startAgent(t, Options{})
	rule := Rule{Ports: []Port{{Protocol: "TCP", Port: 80}, {Protocol: "TCP", Port: 81}, {Protocol: "UDP", Port: 90}}}
	for i := range 1000 {
		rule.Peers = append(rule.Peers, peers(fmt.Sprintf("192.0.%d.%d/32", 2+i/250, i%250))...)
	}
	rule.Peers = append(rule.Peers, peers("10.76.0.131/32")...)
	s.Pods[1].Ingress = &Rules{Allow: []Rule{rule}}
	start := time.Now()
	if answer := put(s); len(answer.Failures) > 0 {
		t.Fatal(answer)
	}
	t.Logf("3,000 rules in %s", time.Since(start))
	if got := reachable(pods, "81/tcp", "90/tcp"); !answers(pods, "a>b:81/tcp", 5*second) || strings.Contains(got, "c>b") || strings.Contains(got, "a>b:90") {
		t.Error(got)
	}
}

// What can't be loaded is the failure of that pod alone, which then has no names; the others have theirs.
func TestFailuresOfAPod(t *testing.T) {
	s, pods := policyWorld(t)
	put, _ := startAgent(t, Options{})
	s.Pods[0].Ingress = &Rules{Allow: []Rule{{Ports: []Port{{Protocol: "ICMP"}}}}}
	s.Pods[1].NetNS = "/run/netns/gone"
	s.Pods = append(s.Pods, Pod{Name: "host", NetNS: "/proc/thread-self/ns/net", Ingress: &Rules{}})
	answer := put(s)
	for pod, want := range map[string]string{"a": `protocol "ICMP"`, "b": "is gone", "host": "node's own network"} {
		if !strings.Contains(answer.Failures[pod], want) {
			t.Errorf("%s: %q, want a failure about %q", pod, answer.Failures[pod], want)
		}
	}
	for name, want := range map[string]string{"a": "NXDOMAIN", "b": "NXDOMAIN", "c": "10.76.0.133"} {
		if got := found(pods["c"].ask("udp", s.Networks[0].Gateway, name, 1)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if rules, err := exec.Command("nft", "list", "tables").Output(); err == nil && bytes.Contains(rules, []byte(policyTable)) {
		t.Error("rules for a pod were loaded into the node's own namespace")
	}
}
