package podman

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/internal/backend/podman/node"
)

// rules of a pod with these labels and container ports among its peers; nil for a direction in which it is open.
func (p *policies) rules(podLabels map[string]string, ports []corev1.ContainerPort, peers []peerPod) (ingress, egress *node.Rules) {
	r := resolver{networks: p.networksOf(podLabels), ports: ports, peers: p.near(podLabels, peers)}
	for _, policy := range p.all {
		if !policy.pods.Matches(labels.Set(podLabels)) {
			continue
		}
		if policy.ingress != nil {
			ingress = extend(ingress, *policy.ingress, r.ingress)
		}
		if policy.egress != nil {
			egress = extend(egress, *policy.egress, r.egress)
		}
	}
	return tidy(ingress), tidy(egress)
}

func extend(rules *node.Rules, allowed []allowance, resolve func(allowance) []node.Rule) *node.Rules {
	if rules == nil {
		rules = &node.Rules{}
	}
	for _, a := range allowed {
		rules.Allow = append(rules.Allow, resolve(a)...)
	}
	return rules
}

func (p *policies) networksOf(podLabels map[string]string) []memberNetwork {
	var own []memberNetwork
	for _, n := range p.networks {
		if n.members.Matches(labels.Set(podLabels)) {
			own = append(own, n)
		}
	}
	return own
}

// near are the peers with those of their addresses that the pod can meet at all: networks are isolated from each other, and
// an address on one that the pod is not on would only change the rules whenever its bearer comes or goes.
func (p *policies) near(podLabels map[string]string, peers []peerPod) []peerPod {
	var out []peerPod
	for _, peer := range peers {
		var addresses []netip.Addr
		for _, a := range peer.addresses {
			if p.reachable(podLabels, a) {
				addresses = append(addresses, a)
			}
		}
		peer.addresses = addresses
		out = append(out, peer)
	}
	return out
}

func (p *policies) reachable(podLabels map[string]string, a netip.Addr) bool {
	known := false
	for _, n := range p.networks {
		if n.subnet.Contains(a) {
			if n.members.Matches(labels.Set(podLabels)) {
				return true
			}
			known = true
		}
	}
	return !known
}

// resolver gives the rules of one pod their addresses and port numbers.
type resolver struct {
	networks []memberNetwork
	ports    []corev1.ContainerPort
	peers    []peerPod
}

// ingress names ports of the pod itself.
func (r resolver) ingress(a allowance) []node.Rule {
	var ports []node.Port
	for _, p := range a.ports {
		ports = append(ports, portsOf(p, r.ports)...)
	}
	return allowing(r.addresses(a.peers), len(a.peers) == 0, ports, len(a.ports) == 0)
}

// egress names ports of the peers, which may be different ones for each.
func (r resolver) egress(a allowance) []node.Rule {
	var ports []node.Port
	var rules []node.Rule
	for _, p := range a.ports {
		if p.Port == nil || p.Port.Type == intstr.Int {
			ports = append(ports, portsOf(p, nil)...)
			continue
		}
		for _, peer := range r.peers {
			rules = append(rules, allowing(hosts(chosen(a.peers, peer)), false, portsOf(p, peer.ports), false)...)
		}
	}
	return append(rules, allowing(r.addresses(a.peers), len(a.peers) == 0, ports, len(a.ports) == 0)...)
}

// allowing is a rule, or none: a list that names nobody, or no port, must not come out as one that is empty and so means all.
func allowing(peers []node.Peer, everyone bool, ports []node.Port, all bool) []node.Rule {
	if len(peers) == 0 && !everyone || len(ports) == 0 && !all {
		return nil
	}
	return []node.Rule{{Peers: peers, Ports: ports}}
}

// chosen are the addresses by which a pod is among the peers of a rule.
func chosen(choices []peerChoice, peer peerPod) []netip.Addr {
	if len(choices) == 0 {
		return peer.addresses
	}
	var out []netip.Addr
	for _, c := range choices {
		if c.pods != nil && c.pods.Matches(labels.Set(peer.labels)) {
			return peer.addresses
		}
		for _, a := range peer.addresses {
			if c.block != nil && inBlock(*c.block, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

func inBlock(b node.Peer, a netip.Addr) bool {
	return b.CIDR.Contains(a) && !slices.ContainsFunc(b.Except, func(e netip.Prefix) bool { return e.Contains(a) })
}

// addresses of the peers of a rule. All members of a network are its subnet, so that a pod that has just come is reached at
// once; so are all pods on each of the networks.
func (r resolver) addresses(choices []peerChoice) []node.Peer {
	var peers []node.Peer
	for _, c := range choices {
		if c.block != nil {
			peers = append(peers, *c.block)
		}
		if c.pods == nil {
			continue
		}
		for _, n := range r.networks {
			if c.pods.Empty() || c.pods.String() == n.members.String() {
				peers = append(peers, node.Peer{CIDR: n.subnet})
			}
		}
		for _, peer := range r.peers {
			if c.pods.Matches(labels.Set(peer.labels)) {
				peers = append(peers, hosts(peer.addresses)...)
			}
		}
	}
	return peers
}

func hosts(addresses []netip.Addr) []node.Peer {
	var peers []node.Peer
	for _, a := range addresses {
		peers = append(peers, node.Peer{CIDR: netip.PrefixFrom(a, a.BitLen())})
	}
	return peers
}

// portsOf a policy's port on a pod with these container ports: none when it names one that the pod doesn't have.
func portsOf(p networkingv1.NetworkPolicyPort, named []corev1.ContainerPort) []node.Port {
	protocol := corev1.ProtocolTCP
	if p.Protocol != nil {
		protocol = *p.Protocol
	}
	out := node.Port{Protocol: string(protocol)}
	switch {
	case p.Port == nil:
		return []node.Port{out}
	case p.Port.Type == intstr.String:
		return namedPorts(p.Port.StrVal, protocol, named)
	}
	out.Port = uint16(p.Port.IntVal)
	if p.EndPort != nil && *p.EndPort > p.Port.IntVal {
		out.EndPort = uint16(*p.EndPort)
	}
	return []node.Port{out}
}

func namedPorts(name string, protocol corev1.Protocol, ports []corev1.ContainerPort) []node.Port {
	var out []node.Port
	for _, c := range ports {
		if c.Name == name && (c.Protocol == protocol || c.Protocol == "" && protocol == corev1.ProtocolTCP) {
			out = append(out, node.Port{Protocol: string(protocol), Port: uint16(c.ContainerPort)})
		}
	}
	return out
}
