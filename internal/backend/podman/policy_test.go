package podman

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/internal/backend/podman/node"
	"mockup.dev/mockup/manifests"
)

// policiesOf reads the specifications of policies, all in namespace shop.
func policiesOf(t *testing.T, specs ...string) *policies {
	t.Helper()
	var objects []manifests.Object
	for i, spec := range specs {
		o := &networkingv1.NetworkPolicy{
			TypeMeta:   metav1.TypeMeta{Kind: "NetworkPolicy"},
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("p%d", i), Namespace: "shop"},
		}
		if err := yaml.UnmarshalStrict([]byte(spec), &o.Spec); err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		objects = append(objects, o)
	}
	p, err := newPolicies(objects)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// text of rules: one line for each, peers before ports.
func text(r *node.Rules) string {
	if r == nil {
		return "open"
	}
	var lines []string
	for _, rule := range r.Allow {
		var peers, ports []string
		for _, p := range rule.Peers {
			peer := p.CIDR.String()
			for _, e := range p.Except {
				peer += "!" + e.String()
			}
			peers = append(peers, peer)
		}
		for _, p := range rule.Ports {
			port := p.Protocol
			if p.Port != 0 {
				port += fmt.Sprintf(":%d", p.Port)
			}
			if p.EndPort != 0 {
				port += fmt.Sprintf("-%d", p.EndPort)
			}
			ports = append(ports, port)
		}
		lines = append(lines, strings.Join(peers, " ")+"|"+strings.Join(ports, " "))
	}
	return strings.Join(lines, "\n")
}

// town is who lives beside the pod in the table: app=web, with the ports http (8080) and dns (53, UDP).
func town() []peerPod {
	port := func(name string, n int32) corev1.ContainerPort {
		return corev1.ContainerPort{Name: name, ContainerPort: n}
	}
	pod := func(app string, ports []corev1.ContainerPort, addresses ...string) peerPod {
		p := peerPod{labels: map[string]string{"app": app}, ports: ports}
		for _, a := range addresses {
			p.addresses = append(p.addresses, netip.MustParseAddr(a))
		}
		return p
	}
	return []peerPod{
		pod("web", nil, "10.0.0.2"),
		pod("api", []corev1.ContainerPort{port("http", 9090)}, "10.0.0.3", "10.0.0.103"),
		pod("db", []corev1.ContainerPort{port("http", 7070), port("sql", 5432)}, "10.0.0.4"),
	}
}

func TestRulesOfAPod(t *testing.T) {
	ports := []corev1.ContainerPort{
		{Name: "http", ContainerPort: 8080}, {Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP},
	}
	const api = "{podSelector: {matchLabels: {app: api}}}"
	for name, c := range map[string]struct {
		policies        []string
		ingress, egress string
	}{
		"no policy: open":                    {nil, "open", "open"},
		"a policy for others: open":          {[]string{"{podSelector: {matchLabels: {app: db}}}"}, "open", "open"},
		"an empty podSelector selects all":   {[]string{"{podSelector: {}}"}, "", "open"},
		"no types and no egress: ingress":    {[]string{"{podSelector: {}, ingress: []}"}, "", "open"},
		"no types and an egress rule: both":  {[]string{"{podSelector: {}, egress: [{}]}"}, "", "|"},
		"only the types that are named":      {[]string{"{podSelector: {}, policyTypes: [Egress], ingress: [{}]}"}, "open", ""},
		"an empty rule is everything":        {[]string{"{podSelector: {}, ingress: [{}]}"}, "|", "open"},
		"an empty from is everyone":          {[]string{"{podSelector: {}, ingress: [{from: [], ports: [{port: 80}]}]}"}, "|TCP:80", "open"},
		"a selected pod on all its networks": {[]string{"{podSelector: {}, ingress: [{from: [" + api + "]}]}"}, "10.0.0.3/32 10.0.0.103/32|", "open"},
		"a selector that selects nobody is nobody": {
			[]string{"{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: gone}}}]}]}"}, "", "open",
		},
		"the union of all rules of all policies": {
			[]string{
				"{podSelector: {}, ingress: [{from: [" + api + "], ports: [{port: 80}]}]}",
				"{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 80}, {port: 81}]}]}",
			}, "10.0.0.3/32 10.0.0.103/32|TCP:80\n10.0.0.4/32|TCP:80 TCP:81", "open",
		},
		"a port without a number is all of its protocol": {
			[]string{"{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}"}, "|UDP", "open",
		},
		"the protocol is TCP when none is named": {[]string{"{podSelector: {}, ingress: [{ports: [{}]}]}"}, "|TCP", "open"},
		"a range of ports": {
			[]string{"{podSelector: {}, ingress: [{ports: [{port: 30000, endPort: 32767, protocol: SCTP}]}]}"}, "|SCTP:30000-32767", "open",
		},
		"a named port of ingress is the pod's own": {[]string{"{podSelector: {}, ingress: [{ports: [{port: http}]}]}"}, "|TCP:8080", "open"},
		"a named port of another protocol is none": {[]string{"{podSelector: {}, ingress: [{ports: [{port: dns}]}]}"}, "", "open"},
		"a named port of its protocol":             {[]string{"{podSelector: {}, ingress: [{ports: [{port: dns, protocol: UDP}]}]}"}, "|UDP:53", "open"},
		"a named port of egress is each peer's": {
			[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}, {port: 53}]}]}"},
			"open", "|TCP:53\n10.0.0.4/32|TCP:7070\n10.0.0.3/32 10.0.0.103/32|TCP:9090",
		},
		"a named port of chosen peers": {
			[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{to: [" + api + "], ports: [{port: http}, {port: sql}]}]}"},
			"open", "10.0.0.3/32 10.0.0.103/32|TCP:9090",
		},
		"a block with exceptions": {
			[]string{"{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 172.17.9.9/16, except: [172.17.1.0/24]}}]}], policyTypes: [Egress]}"},
			"open", "172.17.0.0/16!172.17.1.0/24|",
		},
		"the own namespace by its name": {
			[]string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}, podSelector: {matchLabels: {app: db}}}]}]}"},
			"10.0.0.4/32|", "open",
		},
		"all pods of the own namespace": {
			[]string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}]}]}"},
			"10.0.0.2/32 10.0.0.3/32 10.0.0.4/32 10.0.0.103/32|", "open",
		},
		"another namespace is nobody": {
			[]string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}]}]}"}, "", "open",
		},
		"a namespace by a label that is not known is nobody": {
			[]string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}]}]}"}, "", "open",
		},
		"what a wider rule allows is not said twice": {
			[]string{"{podSelector: {}, ingress: [{from: [" + api + "], ports: [{port: 80}]}, {from: [{ipBlock: {cidr: 10.0.0.0/28}}]}]}"},
			"10.0.0.0/28|\n10.0.0.103/32|TCP:80", "open",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ingress, egress := policiesOf(t, c.policies...).rules(map[string]string{"app": "web"}, ports, town())
			if text(ingress) != c.ingress {
				t.Errorf("ingress is\n%s\nnot\n%s", text(ingress), c.ingress)
			}
			if text(egress) != c.egress {
				t.Errorf("egress is\n%s\nnot\n%s", text(egress), c.egress)
			}
		})
	}
}

func TestNamespacesThatAreNotKnownAreRefused(t *testing.T) {
	const path = "spec.ingress[0].from[0].namespaceSelector"
	for selector, refused := range map[string]bool{
		"{matchLabels: {kubernetes.io/metadata.name: shop}}":  false,
		"{matchLabels: {kubernetes.io/metadata.name: other}}": true,
		"{matchLabels: {team: red}}":                          true,
		"{}":                                                  true,
	} {
		p := policiesOf(t, "{podSelector: {}, ingress: [{from: [{namespaceSelector: "+selector+"}]}]}")
		said := len(p.refused) == 1 && p.refused[0].Path == path && p.refused[0].Reason != ""
		if said != refused {
			t.Errorf("%s: refused are %v", selector, p.refused)
		}
	}
}

func TestPoliciesThatCannotBeRead(t *testing.T) {
	for field, spec := range map[string]string{
		"spec.podSelector":                       "{podSelector: {matchExpressions: [{key: a, operator: Like}]}}",
		"spec.ingress[0].from[0].podSelector":    "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {a: b/c}}}]}]}",
		"spec.egress[0].to[0].ipBlock.cidr":      "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0}}]}]}",
		"spec.egress[0].to[0].ipBlock.except[0]": "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [all]}}]}]}",
	} {
		o := &networkingv1.NetworkPolicy{TypeMeta: metav1.TypeMeta{Kind: "NetworkPolicy"}, ObjectMeta: metav1.ObjectMeta{Name: "p"}}
		if err := yaml.UnmarshalStrict([]byte(spec), &o.Spec); err != nil {
			t.Fatal(err)
		}
		if _, err := newPolicies([]manifests.Object{o}); err == nil || !strings.Contains(err.Error(), "NetworkPolicy/p: "+field) {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
}

// TestRulesDoNotChangeWhenAPodComes is what the subnets in place of addresses are for.
func TestRulesDoNotChangeWhenAPodComes(t *testing.T) {
	public := map[string]string{"on/a": "true", "app": "web"}
	both := map[string]string{"on/a": "true", "on/b": "true", "app": "web"}
	var objects []manifests.Object
	for _, o := range world(rand.New(rand.NewPCG(1, 2))).networks {
		members := []networkingv1.NetworkPolicyPeer{{PodSelector: &o.Spec.PodSelector}}
		o.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: members}}
		o.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}}}
		objects = append(objects, o)
	}
	p, err := newPolicies(objects)
	if err != nil {
		t.Fatal(err)
	}
	for _, labels := range []map[string]string{public, both} {
		peer := peerPod{labels: both, addresses: []netip.Addr{netip.MustParseAddr("10.1.0.9"), netip.MustParseAddr("10.2.0.9")}}
		ingress, egress := p.rules(labels, nil, nil)
		with, without := text(ingress)+text(egress), ""
		ingress, egress = p.rules(labels, nil, []peerPod{peer})
		if without = text(ingress) + text(egress); with != without || !strings.Contains(with, "10.1.0.0/24") {
			t.Errorf("%v: with a pod more the rules are\n%s\nnot\n%s", labels, without, with)
		}
	}
}

// TestRulesAllowWhatKubernetesAllows compares, on random policies and pods, the rules with what the documentation of
// Kubernetes says of each single connection.
func TestRulesAllowWhatKubernetesAllows(t *testing.T) {
	allowed, total := 0, 0
	for seed := range uint64(800) {
		w := world(rand.New(rand.NewPCG(seed, 7)))
		p, err := newPolicies(w.objects())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range w.connections() {
			want := w.permits(c)
			got := true
			if c.from.labels != nil {
				_, egress := p.rules(c.from.labels, c.from.ports, w.pods)
				got = got && permit(egress, c.to.addr, c)
			}
			if c.to.labels != nil {
				ingress, _ := p.rules(c.to.labels, c.to.ports, w.pods)
				got = got && permit(ingress, c.from.addr, c)
			}
			total++
			if got {
				allowed++
			}
			if got != want {
				t.Fatalf("seed %d: %s: Kubernetes says %t, the rules %t\n%s", seed, c, want, got, w)
			}
		}
	}
	t.Logf("%d of %d connections are allowed", allowed, total)
	if allowed < total/20 || allowed > total*19/20 {
		t.Errorf("%d of %d connections are allowed: this shows little", allowed, total)
	}
}

// TestRulesDoNotDependOnOrder: an agent that gets the same rules in another order would load them anew.
func TestRulesDoNotDependOnOrder(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 9))
		w := world(random)
		objects, pods := w.objects(), slices.Clone(w.pods)
		first, err := newPolicies(objects)
		if err != nil {
			t.Fatal(err)
		}
		random.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
		random.Shuffle(len(pods), func(i, j int) { pods[i], pods[j] = pods[j], pods[i] })
		second, err := newPolicies(objects)
		if err != nil {
			t.Fatal(err)
		}
		for _, pod := range w.pods {
			a, b := first.rules(pod.labels, pod.ports, w.pods)
			c, d := second.rules(pod.labels, pod.ports, pods)
			if text(a) != text(c) || text(b) != text(d) {
				t.Fatalf("seed %d: %v\n%s\n%s\nor\n%s\n%s", seed, pod.labels, text(a), text(b), text(c), text(d))
			}
		}
	}
}

// end of a connection: a pod by one of its addresses, or somebody outside.
type end struct {
	labels map[string]string
	ports  []corev1.ContainerPort
	addr   netip.Addr
}

type connection struct {
	from, to end
	protocol corev1.Protocol
	port     int32
}

func (c connection) String() string {
	return fmt.Sprintf("%v (%s) to %v (%s) %s %d", c.from.labels, c.from.addr, c.to.labels, c.to.addr, c.protocol, c.port)
}

// permit evaluates rules for a connection with peer.
func permit(r *node.Rules, peer netip.Addr, c connection) bool {
	if r == nil {
		return true
	}
	return slices.ContainsFunc(r.Allow, func(rule node.Rule) bool {
		peers := len(rule.Peers) == 0 || slices.ContainsFunc(rule.Peers, func(p node.Peer) bool {
			return p.CIDR.Contains(peer) && !slices.ContainsFunc(p.Except, func(e netip.Prefix) bool { return e.Contains(peer) })
		})
		ports := len(rule.Ports) == 0 || slices.ContainsFunc(rule.Ports, func(p node.Port) bool {
			return p.Protocol == string(c.protocol) &&
				(p.Port == 0 || int32(p.Port) <= c.port && c.port <= max(int32(p.Port), int32(p.EndPort)))
		})
		return peers && ports
	})
}

// randomWorld is two networks and a few pods and policies.
type randomWorld struct {
	*rand.Rand
	networks []*networkingv1.NetworkPolicy
	policies []*networkingv1.NetworkPolicy
	pods     []peerPod
}

func world(r *rand.Rand) randomWorld {
	w := randomWorld{Rand: r}
	for i, name := range []string{"a", "b"} {
		members := metav1.LabelSelector{MatchLabels: map[string]string{"on/" + name: "true"}}
		peers := []networkingv1.NetworkPolicyPeer{{PodSelector: &members}}
		o := &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{PodSelector: members}}
		o.Kind, o.Namespace = "NetworkPolicy", "shop"
		o.Annotations = map[string]string{manifests.AnnotationSubnet: fmt.Sprintf("10.%d.0.0/24", i+1)}
		switch r.IntN(3) {
		case 0:
			o.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers}}
		case 1:
			o.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers, Ports: w.somePorts()}}
		}
		w.networks = append(w.networks, o)
	}
	for i := range 5 {
		pod := peerPod{labels: map[string]string{"app": w.app()}, ports: w.containerPorts()}
		on := 1 + r.IntN(3)
		for bit, name := range []string{"a", "b"} {
			if on>>bit&1 == 1 {
				pod.labels["on/"+name] = "true"
				pod.addresses = append(pod.addresses, netip.AddrFrom4([4]byte{10, byte(bit + 1), 0, byte(130 + i)}))
				if r.IntN(4) == 0 {
					pod.addresses = append(pod.addresses, netip.AddrFrom4([4]byte{10, byte(bit + 1), 0, byte(10 + i)}))
				}
			}
		}
		w.pods = append(w.pods, pod)
	}
	for range r.IntN(4) {
		w.policies = append(w.policies, w.policy())
	}
	return w
}

func (w randomWorld) objects() []manifests.Object {
	var objects []manifests.Object
	for _, o := range slices.Concat(w.networks, w.policies) {
		objects = append(objects, o)
	}
	return objects
}

func (w randomWorld) String() string {
	var b strings.Builder
	for _, o := range slices.Concat(w.networks, w.policies) {
		spec, _ := yaml.Marshal(o.Spec)
		fmt.Fprintf(&b, "---\n%s", spec)
	}
	for _, p := range w.pods {
		fmt.Fprintf(&b, "pod %v %v %v\n", p.labels, p.addresses, p.ports)
	}
	return b.String()
}

func one[T any](w randomWorld, choices ...T) T { return choices[w.IntN(len(choices))] }

func (w randomWorld) app() string { return one(w, "web", "api", "db") }

func (w randomWorld) containerPorts() []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	for _, name := range []string{"http", "dns"} {
		if w.IntN(3) > 0 {
			ports = append(ports, corev1.ContainerPort{
				Name: name, ContainerPort: one(w, int32(80), 81, 90), Protocol: one(w, "", corev1.ProtocolTCP, corev1.ProtocolUDP),
			})
		}
	}
	return ports
}

func (w randomWorld) selector() metav1.LabelSelector {
	return one(w,
		metav1.LabelSelector{},
		metav1.LabelSelector{MatchLabels: map[string]string{"app": w.app()}},
		metav1.LabelSelector{MatchLabels: map[string]string{"on/a": "true"}},
		metav1.LabelSelector{MatchLabels: map[string]string{"on/b": "true"}},
		metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: "app", Operator: metav1.LabelSelectorOpNotIn, Values: []string{w.app()},
		}}},
	)
}

func (w randomWorld) somePorts() []networkingv1.NetworkPolicyPort {
	var ports []networkingv1.NetworkPolicyPort
	for range w.IntN(3) {
		var p networkingv1.NetworkPolicyPort
		if w.IntN(2) == 0 {
			p.Protocol = new(one(w, corev1.ProtocolTCP, corev1.ProtocolUDP))
		}
		switch w.IntN(4) {
		case 0:
			p.Port = new(intstr.FromString(one(w, "http", "dns", "none")))
		case 1:
			p.Port = new(intstr.FromInt32(one(w, int32(80), 81, 90)))
		case 2:
			p.Port, p.EndPort = new(intstr.FromInt32(80)), new(one(w, int32(80), 81, 89))
		}
		ports = append(ports, p)
	}
	return ports
}

func (w randomWorld) somePeers() []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for range w.IntN(3) {
		var p networkingv1.NetworkPolicyPeer
		switch w.IntN(4) {
		case 0:
			p.IPBlock = &networkingv1.IPBlock{CIDR: one(w, "10.0.0.0/8", "10.1.0.128/25", "0.0.0.0/0", "192.0.2.0/24")}
			if w.IntN(2) == 0 {
				p.IPBlock.Except = []string{one(w, "10.1.0.132/32", "10.2.0.0/24", "192.0.2.1/32")}
			}
		case 1:
			p.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: one(w, "shop", "other")}}
			if w.IntN(2) == 0 {
				p.PodSelector = new(w.selector())
			}
		default:
			p.PodSelector = new(w.selector())
		}
		peers = append(peers, p)
	}
	return peers
}

func (w randomWorld) policy() *networkingv1.NetworkPolicy {
	o := &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{PodSelector: w.selector()}}
	o.Kind, o.Namespace = "NetworkPolicy", "shop"
	for range w.IntN(3) {
		o.Spec.Ingress = append(o.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: w.somePeers(), Ports: w.somePorts()})
	}
	for range w.IntN(3) {
		o.Spec.Egress = append(o.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: w.somePeers(), Ports: w.somePorts()})
	}
	o.Spec.PolicyTypes = one(w, nil, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		[]networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		[]networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress})
	return o
}

// connections on each network between all of its pods, and of each pod with the outside.
func (w randomWorld) connections() []connection {
	var ends []end
	for _, p := range w.pods {
		for _, a := range p.addresses {
			ends = append(ends, end{p.labels, p.ports, a})
		}
	}
	outside := []end{{addr: netip.MustParseAddr("192.0.2.1")}, {addr: netip.MustParseAddr("192.0.2.2")}}
	var all []connection
	add := func(from, to end) {
		all = append(all, connection{from, to, one(w, corev1.ProtocolTCP, corev1.ProtocolUDP), one(w, int32(80), 81, 90, 443)})
	}
	for _, a := range ends {
		for _, b := range ends {
			if a.addr != b.addr && a.addr.As4()[1] == b.addr.As4()[1] {
				add(a, b)
			}
		}
		for _, o := range outside {
			add(a, o)
			add(o, a)
		}
	}
	return all
}

// permits is the documentation's word: both ends must allow a connection.
func (w randomWorld) permits(c connection) bool {
	return w.end(c, c.from, c.to, false) && w.end(c, c.to, c.from, true)
}

// end tells whether the policies of one end of a connection allow it.
func (w randomWorld) end(c connection, self, peer end, ingress bool) bool {
	if self.labels == nil {
		return true
	}
	isolated := false
	for _, o := range slices.Concat(w.networks, w.policies) {
		types := o.Spec.PolicyTypes
		if types == nil {
			types = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
			if o.Spec.Egress != nil {
				types = append(types, networkingv1.PolicyTypeEgress)
			}
		}
		if !matches(&o.Spec.PodSelector, self.labels) {
			continue
		}
		if ingress && slices.Contains(types, networkingv1.PolicyTypeIngress) {
			isolated = true
			for _, rule := range o.Spec.Ingress {
				if peerIn(rule.From, peer) && portIn(rule.Ports, c) {
					return true
				}
			}
		}
		if !ingress && slices.Contains(types, networkingv1.PolicyTypeEgress) {
			isolated = true
			for _, rule := range o.Spec.Egress {
				if peerIn(rule.To, peer) && portIn(rule.Ports, c) {
					return true
				}
			}
		}
	}
	return !isolated
}

func matches(s *metav1.LabelSelector, l map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(l))
}

func peerIn(peers []networkingv1.NetworkPolicyPeer, e end) bool {
	for _, p := range peers {
		if p.IPBlock != nil {
			in := netip.MustParsePrefix(p.IPBlock.CIDR).Contains(e.addr)
			for _, except := range p.IPBlock.Except {
				in = in && !netip.MustParsePrefix(except).Contains(e.addr)
			}
			if in {
				return true
			}
			continue
		}
		in := e.labels != nil
		if s := p.NamespaceSelector; s != nil {
			in = in && matches(s, map[string]string{corev1.LabelMetadataName: "shop"})
		}
		if p.PodSelector != nil {
			in = in && matches(p.PodSelector, e.labels)
		}
		if in {
			return true
		}
	}
	return len(peers) == 0
}

// portIn: the port belongs to whoever is connected to.
func portIn(ports []networkingv1.NetworkPolicyPort, c connection) bool {
	for _, p := range ports {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		if protocol != c.protocol {
			continue
		}
		switch {
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			for _, have := range c.to.ports {
				same := have.Protocol == protocol || have.Protocol == "" && protocol == corev1.ProtocolTCP
				if have.Name == p.Port.StrVal && same && have.ContainerPort == c.port {
					return true
				}
			}
		case p.EndPort != nil && p.Port.IntVal <= c.port && c.port <= *p.EndPort, p.Port.IntVal == c.port:
			return true
		}
	}
	return len(ports) == 0
}
