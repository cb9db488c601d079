package podman

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mockup.dev/mockup/internal/backend/podman/node"
)

// tidy gives rules that allow the same one form: one rule for the same ports, nothing twice, in order. What a wider rule
// allows anyway is left out, so that rules change only when what they allow does.
func tidy(rules *node.Rules) *node.Rules {
	if rules == nil {
		return nil
	}
	byPorts := map[string]*node.Rule{}
	everyone := map[string]bool{}
	for _, r := range rules.Allow {
		slices.SortFunc(r.Ports, comparePorts)
		ports := slices.Compact(r.Ports)
		key := keyOf(ports)
		merged := byPorts[key]
		if merged == nil {
			merged = &node.Rule{Ports: ports}
			byPorts[key] = merged
		}
		merged.Peers = append(merged.Peers, r.Peers...)
		everyone[key] = everyone[key] || len(r.Peers) == 0
	}
	out := &node.Rules{}
	for key, r := range byPorts {
		if everyone[key] {
			r.Peers = nil
		}
		slices.SortFunc(r.Peers, comparePeers)
		r.Peers = slices.CompactFunc(r.Peers, func(a, b node.Peer) bool { return comparePeers(a, b) == 0 })
		out.Allow = append(out.Allow, *r)
	}
	slices.SortFunc(out.Allow, func(a, b node.Rule) int { return slices.CompareFunc(a.Ports, b.Ports, comparePorts) })
	dropCovered(out)
	return out
}

// dropCovered takes away each peer that another entry allows on at least the same ports, one at a time: of two that allow
// the same, one stays. A rule that loses its last peer goes too, since without peers it would mean everyone.
func dropCovered(rules *node.Rules) {
	for i := 0; i < len(rules.Allow); i++ {
		rule := &rules.Allow[i]
		if len(rule.Peers) == 0 {
			continue
		}
		rule.Peers = slices.Clone(rule.Peers)
		for j := 0; j < len(rule.Peers); j++ {
			if covered(rules.Allow, i, j) {
				rule.Peers = slices.Delete(rule.Peers, j, j+1)
				j--
			}
		}
		if len(rule.Peers) == 0 {
			rules.Allow = slices.Delete(rules.Allow, i, i+1)
			i--
		}
	}
}

// covered tells whether peer j of rule i is allowed by another entry too.
func covered(rules []node.Rule, i, j int) bool {
	for k, other := range rules {
		if !coversPorts(other.Ports, rules[i].Ports) {
			continue
		}
		if k != i && len(other.Peers) == 0 {
			return true
		}
		for l, peer := range other.Peers {
			if (k != i || l != j) && coversPeer(peer, rules[i].Peers[j]) {
				return true
			}
		}
	}
	return false
}

func coversPeer(wide, narrow node.Peer) bool {
	return len(wide.Except) == 0 && wide.CIDR.Bits() <= narrow.CIDR.Bits() && wide.CIDR.Contains(narrow.CIDR.Addr())
}

// coversPorts tells whether each of the narrow ports is one of the wide; none means all.
func coversPorts(wide, narrow []node.Port) bool {
	if len(wide) == 0 || len(narrow) == 0 {
		return len(wide) == 0
	}
	for _, n := range narrow {
		if !slices.ContainsFunc(wide, func(w node.Port) bool { return coversPort(w, n) }) {
			return false
		}
	}
	return true
}

func coversPort(wide, narrow node.Port) bool {
	if wide.Protocol != narrow.Protocol {
		return false
	}
	return wide.Port == 0 ||
		narrow.Port != 0 && wide.Port <= narrow.Port && max(narrow.Port, narrow.EndPort) <= max(wide.Port, wide.EndPort)
}

func comparePorts(a, b node.Port) int {
	return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port), cmp.Compare(a.EndPort, b.EndPort))
}

func comparePeers(a, b node.Peer) int {
	return cmp.Or(a.CIDR.Addr().Compare(b.CIDR.Addr()), cmp.Compare(a.CIDR.Bits(), b.CIDR.Bits()),
		slices.CompareFunc(a.Except, b.Except, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) }))
}

func keyOf(ports []node.Port) string {
	var key strings.Builder
	for _, p := range ports {
		fmt.Fprintf(&key, "%s %d-%d,", p.Protocol, p.Port, p.EndPort)
	}
	return key.String()
}
