package node

import (
	"net/netip"
	"slices"
	"strings"
)

// clusterDomain is the domain of a cluster by which its Services are called in full.
const clusterDomain = "cluster.local"

// records are all that the name server knows. They never change: a new State makes new ones.
type records struct {
	// pods by each address they have.
	pods     map[netip.Addr]*pod
	networks []network
	// services by namespace and name; those that nobody bears just now have an empty list.
	services map[service][]*pod
	// nodes are the networks on which a Service leads to the node.
	nodes map[service][]Network
	// namespaces in which a Service of that name is.
	namespaces map[string][]string
}

type service struct{ namespace, name string }

// pod as one that asks and as one that is asked for.
type pod struct {
	name, namespace string
	// networks that it is on, in the order of the State's: its address on the first that it shares is its answer.
	networks []string
	address  map[string]netip.Addr
	// outside tells whether it may ask for names of the outside: a network of its own has a way there.
	outside bool
	// node is who is none of the pods, and on none of their networks. It sees everything.
	node bool
}

type network struct {
	Network
	namespace string
}

// told is a State with what came of it.
type told struct {
	State  State  `json:"state"`
	Answer Answer `json:"answer"`
	// Named are all Services that a pod of the owner ever bore: who asks for one must not be sent to the outside while
	// nobody bears it.
	Named []string `json:"named,omitempty"`
}

func newRecords(owners map[string]told) *records {
	r := &records{pods: map[netip.Addr]*pod{}, services: map[service][]*pod{}, nodes: map[service][]Network{}, namespaces: map[string][]string{}}
	for _, t := range owners {
		for _, n := range t.State.Networks {
			r.networks = append(r.networks, network{n, t.State.Namespace})
		}
		for _, name := range t.Named {
			r.know(service{t.State.Namespace, strings.ToLower(name)})
		}
		for _, s := range t.State.Services {
			name := service{t.State.Namespace, strings.ToLower(s.Name)}
			r.know(name)
			r.nodes[name] = t.State.Networks
		}
		for _, p := range t.State.Pods {
			r.add(t, p)
		}
	}
	return r
}

func (r *records) know(s service) {
	if _, known := r.services[s]; !known {
		r.services[s] = nil
		r.namespaces[s.name] = append(r.namespaces[s.name], s.namespace)
	}
}

func (r *records) add(t told, from Pod) {
	p := &pod{name: from.Name, namespace: t.State.Namespace, address: from.Addresses}
	for _, n := range t.State.Networks {
		address := from.Addresses[n.Name]
		if !address.Is4() {
			continue
		}
		p.networks = append(p.networks, n.Name)
		p.outside = p.outside || !n.Internal
		r.pods[address] = p
	}
	for _, address := range from.Fixed {
		r.pods[address] = p
	}
	if _, failed := t.Answer.Failures[from.Name]; failed {
		return
	}
	for _, name := range from.Services {
		s := service{t.State.Namespace, strings.ToLower(name)}
		r.know(s)
		r.services[s] = append(r.services[s], p)
	}
}

// asker is who asks from an address.
func (r *records) asker(from netip.Addr) *pod {
	if p := r.pods[from]; p != nil {
		return p
	}
	for _, n := range r.networks {
		if n.Subnet.Contains(from) && n.Gateway != from {
			return &pod{namespace: n.namespace, networks: []string{n.Name}, outside: !n.Internal}
		}
	}
	return &pod{node: true, outside: true}
}

// gateways are where names are served.
func (r *records) gateways() []netip.Addr {
	var all []netip.Addr
	for _, n := range r.networks {
		if n.Gateway.IsValid() && !slices.Contains(all, n.Gateway) {
			all = append(all, n.Gateway)
		}
	}
	return all
}

// lookup finds the addresses that a name leads to for an asker. A name that is not ours is nobody's of us to deny.
func (r *records) lookup(asker *pod, name string) (addresses []netip.Addr, ours bool) {
	s, ours := parseName(name)
	if s.name == "" {
		return nil, ours
	}
	if _, known := r.services[s]; known {
		ours = true
	}
	for _, namespace := range r.namespacesOf(asker, s) {
		for _, bearer := range r.services[service{namespace, s.name}] {
			if address, ok := bearer.seenBy(asker); ok && !slices.Contains(addresses, address) {
				addresses = append(addresses, address)
			}
		}
		if address, ok := r.nodeSeenBy(asker, service{namespace, s.name}); ok {
			addresses = append(addresses, address)
		}
	}
	return addresses, ours
}

// nodeSeenBy is the node's address on the first network of an asker on which the Service leads there.
func (r *records) nodeSeenBy(asker *pod, s service) (netip.Addr, bool) {
	for _, n := range r.nodes[s] {
		if asker.node || slices.Contains(asker.networks, n.Name) {
			return n.Gateway, true
		}
	}
	return netip.Addr{}, false
}

// namespacesOf a name: a bare one is of the asker's own namespace, and for the node of any.
func (r *records) namespacesOf(asker *pod, s service) []string {
	switch {
	case s.namespace != "":
		return []string{s.namespace}
	case asker.node:
		return r.namespaces[s.name]
	default:
		return []string{asker.namespace}
	}
}

// seenBy is p's address on the first network that it shares with the asker.
func (p *pod) seenBy(asker *pod) (netip.Addr, bool) {
	networks := asker.networks
	if asker.node {
		networks = p.networks
	}
	for _, n := range networks {
		if address, on := p.address[n]; on && slices.Contains(p.networks, n) {
			return address, true
		}
	}
	return netip.Addr{}, false
}

// parseName takes the name of a Service apart, in any of the forms of a cluster. Ours is a name that nobody outside can
// have; of NAME.NAMESPACE alone that can't be known, for dev and app are top-level domains as well.
func parseName(name string) (s service, ours bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	short, full := strings.CutSuffix("."+name, "."+clusterDomain)
	if full {
		name = strings.TrimPrefix(short, ".")
	}
	labels := strings.Split(name, ".")
	last := labels[len(labels)-1]
	switch {
	case last == "svc" && len(labels) == 3:
		return service{labels[1], labels[0]}, true
	case full || last == "svc":
		return service{}, true
	case len(labels) == 1 && name != "":
		return service{name: name}, true
	case len(labels) == 2:
		return service{labels[1], labels[0]}, false
	}
	return service{}, false
}

// reverse finds the name of a pod by its address in the form D.C.B.A.in-addr.arpa. Addresses of our networks are ours.
func (r *records) reverse(asker *pod, name string) (podName string, ours bool) {
	address, ok := parseReverse(name)
	if !ok {
		return "", false
	}
	if p := r.pods[address]; p != nil {
		if _, seen := p.seenBy(asker); seen {
			return p.name, true
		}
	}
	return "", slices.ContainsFunc(r.networks, func(n network) bool { return n.Subnet.Contains(address) })
}

func parseReverse(name string) (netip.Addr, bool) {
	digits, ok := strings.CutSuffix(strings.ToLower(name), ".in-addr.arpa.")
	if !ok {
		return netip.Addr{}, false
	}
	labels := strings.Split(digits, ".")
	slices.Reverse(labels)
	address, err := netip.ParseAddr(strings.Join(labels, "."))
	return address, err == nil && address.Is4()
}
