package node

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// twoOwners have a namespace each. The first is on two networks, one of them without a way out; the second has a Service
// of a name that the first has, too.
func twoOwners(t testing.TB) (first, second State, pods map[string]*testPod) {
	t.Helper()
	public, private := newBridge(t, network24("public", "10.71.0.0/24")), newBridge(t, internal(network24("private", "10.72.0.0/24")))
	other := newBridge(t, network24("other", "10.73.0.0/24"))
	pods = map[string]*testPod{
		"web":  newPod(t, "web").join(public, "10.71.0.130").join(private, "10.72.0.130"),
		"api":  newPod(t, "api").join(private, "10.72.0.131"),
		"api2": newPod(t, "api2").join(private, "10.72.0.132"),
		"far":  newPod(t, "far").join(other, "10.73.0.130"),
	}
	first = State{
		Owner: "Stack.default.one", Namespace: "default", Networks: []Network{public.Network, private.Network},
		Pods: []Pod{pods["web"].with("web"), pods["api"].with("API"), pods["api2"].with()},
	}
	second = State{
		Owner: "Stack.dev.two", Namespace: "dev", Networks: []Network{other.Network}, Pods: []Pod{pods["far"].with("web", "far")},
	}
	return first, second, pods
}

func internal(n Network) Network {
	n.Internal = true
	return n
}

func TestNames(t *testing.T) {
	first, second, pods := twoOwners(t)
	put, _ := startAgent(t, Options{ResolvConf: writeFile(t, "")})
	for _, s := range []State{first, second} {
		if answer := put(s); len(answer.Failures) > 0 {
			t.Fatal(answer)
		}
	}
	public, private, other := first.Networks[0].Gateway, first.Networks[1].Gateway, second.Networks[0].Gateway
	for _, c := range []struct {
		pod     string
		gateway netip.Addr
		name    string
		want    string
	}{
		// All forms, in whatever case.
		{"web", private, "api", "10.72.0.131"},
		{"web", private, "api.default", "10.72.0.131"},
		{"web", private, "api.default.svc", "10.72.0.131"},
		{"web", private, "api.default.svc.cluster.local", "10.72.0.131"},
		{"web", private, "aPi.Default.sVc.cluster.LOCAL", "10.72.0.131"},
		// The address on a network that both are on, the first of the State, whichever gateway is asked.
		{"web", public, "api", "10.72.0.131"},
		{"web", public, "web", "10.71.0.130"},
		{"web", private, "web", "10.71.0.130"},
		{"api", private, "web", "10.72.0.130"},
		// Other owners are not seen, and a bare name is one of the own namespace.
		{"far", other, "web", "10.73.0.130"},
		{"far", other, "far", "10.73.0.130"},
		{"web", public, "far", "NXDOMAIN"},
		{"web", public, "far.dev.svc.cluster.local", "NXDOMAIN"},
		{"far", other, "web.default", "NXDOMAIN"},
		// What nobody bears is not there at once.
		{"web", private, "nobody", "NXDOMAIN"},
		{"web", private, "nobody.default.svc.cluster.local", "NXDOMAIN"},
		{"web", private, "api.default.default.svc.cluster.local", "NXDOMAIN"},
		{"web", private, "api.default.cluster.local", "NXDOMAIN"},
		{"web", private, "example.com.svc", "NXDOMAIN"},
		// Names of the outside: nobody to ask, and nobody who may.
		{"web", public, "example.com", "SERVFAIL"},
		{"api", private, "example.com", "REFUSED"},
		{"api", private, "web.dev", "NXDOMAIN"},
	} {
		for _, transport := range []string{"udp", "tcp"} {
			if got := found(pods[c.pod].ask(transport, c.gateway, c.name, dns.TypeA)); got != c.want {
				t.Errorf("%s asks %s for %s by %s: got %s, want %s", c.pod, c.gateway, c.name, transport, got, c.want)
			}
		}
	}
	t.Run("node", func(t *testing.T) { testNode(t, public) })
	t.Run("kinds", func(t *testing.T) { testKinds(t, pods["web"], private) })
	t.Run("unready", func(t *testing.T) { testUnready(t, put, first, pods["web"]) })
}

// testNode: the node sees everything.
func testNode(t *testing.T, gateway netip.Addr) {
	for name, want := range map[string]string{
		"api": "10.72.0.131", "web.default": "10.71.0.130", "web.dev": "10.73.0.130", "web.dev.svc.cluster.local": "10.73.0.130", "none": "NXDOMAIN",
	} {
		if got := found(ask("udp", gateway, name, dns.TypeA, second)); got != want {
			t.Errorf("the node asks for %s: got %s, want %s", name, got, want)
		}
	}
}

// testKinds: what is there, but not of the kind that is asked for, is no error, and is not remembered for long.
func testKinds(t *testing.T, p *testPod, gateway netip.Addr) {
	for _, kind := range []uint16{dns.TypeAAAA, dns.TypeMX, dns.TypeTXT} {
		reply, err := p.ask("udp", gateway, "api", kind)
		if got := found(reply, err); got != "nothing" {
			t.Errorf("%s of a known name: got %s", dns.TypeToString[kind], got)
		}
	}
	reply, err := p.ask("udp", gateway, "nobody", dns.TypeA)
	must(t, err)
	soa, ok := reply.Ns[0].(*dns.SOA)
	if !ok || soa.Minttl > 1 || soa.Hdr.Ttl > 1 || !reply.Authoritative {
		t.Errorf("a denial may be remembered for long: %v", reply)
	}
	if got := found(p.ask("udp", gateway, "131.0.72.10.in-addr.arpa", dns.TypePTR)); got != "api." {
		t.Errorf("the name of a pod's address: got %s", got)
	}
	if got := found(p.ask("udp", gateway, "9.0.72.10.in-addr.arpa", dns.TypePTR)); got != "NXDOMAIN" {
		t.Errorf("the name of nobody's address: got %s", got)
	}
}

// testUnready: names follow each State at once, and are never looked for outside.
func testUnready(t *testing.T, put func(State) Answer, s State, p *testPod) {
	gateway := s.Networks[1].Gateway
	forms := []string{"api", "api.default", "api.default.svc", "api.default.svc.cluster.local"}
	api, api2 := s.Pods[1].Services, s.Pods[2].Services
	for _, step := range []struct {
		first, second []string
		want          []string
	}{
		{nil, nil, []string{"NXDOMAIN"}},
		{api2, api, []string{"10.72.0.131"}},
		{api, api, []string{"10.72.0.131 10.72.0.132", "10.72.0.132 10.72.0.131"}},
	} {
		s.Pods[1].Services, s.Pods[2].Services = step.first, step.second
		if step.second != nil && step.first == nil {
			step.want = []string{"10.72.0.132"}
		}
		put(s)
		for _, form := range forms {
			seen := map[string]bool{}
			for range 30 {
				seen[found(p.ask("udp", gateway, form, dns.TypeA))] = true
			}
			for _, want := range step.want {
				if !seen[want] || len(seen) != len(step.want) {
					t.Errorf("%s: got %v, want %s", form, seen, strings.Join(step.want, " and "))
				}
			}
		}
	}
}
