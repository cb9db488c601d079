package podman

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend/podman/node"
)

// nodeState is what the node agent is to make true: who bears which names and addresses, and who may talk to whom. It is
// pure. Names lead to the ready pods that nothing is about to be done to.
func nodeState(w *wanted, s *seen, steps []step) node.State {
	out := node.State{Owner: w.owner.String(), Namespace: w.owner.Namespace, Services: w.nodeServices, Logs: s.logs()}
	for _, n := range w.joinable() {
		if there, ok := s.network(n.name); ok {
			out.Networks = append(out.Networks, node.Network{
				Name: n.name, Subnet: there.subnet, Gateway: gatewayOf(there.subnet), Bridge: there.bridge, Internal: there.internal,
			})
		}
	}
	b := bearers{wanted: w, seen: s, ends: ending(s, steps)}
	b.giveAddresses()
	var peers []peerPod
	for i := range s.pods {
		if pod := &s.pods[i]; b.runs(pod) {
			p := b.pod(pod)
			peers = append(peers, peerPod{labels: pod.labels, ports: b.ports(pod), addresses: addressesOf(p)})
			out.Pods = append(out.Pods, p)
		}
	}
	i := 0
	for j := range s.pods {
		if pod := &s.pods[j]; b.runs(pod) {
			out.Pods[i].Ingress, out.Pods[i].Egress = w.policies.rules(pod.labels, peers[i].ports, peers)
			i++
		}
	}
	return out
}

// ending names the pods that are, or are about to be, taken out of service.
func ending(s *seen, steps []step) map[string]bool {
	out := map[string]bool{}
	for name, w := range s.busy {
		out[name] = w.action.endsService()
	}
	for _, st := range steps {
		if st.action.endsService() {
			out[st.pod.name] = true
		}
	}
	return out
}

type bearers struct {
	*wanted
	*seen
	ends map[string]bool
	// fixed has the fixed addresses that a pod bears, by pod name and network.
	fixed map[string]map[string]netip.Addr
}

// runs tells whether the pod has a network namespace.
func (b *bearers) runs(pod *podInfo) bool {
	return pod.infra.state == "running" && b.net[pod.id].netns != ""
}

func (b *bearers) serves(pod *podInfo) bool { return b.ready[pod.id].ok && !b.ends[pod.name] }

func (b *bearers) pod(pod *podInfo) node.Pod {
	p := node.Pod{Name: pod.name, NetNS: b.net[pod.id].netns, Addresses: map[string]netip.Addr{}, Fixed: b.fixed[pod.name]}
	for name, e := range b.net[pod.id].byNet {
		p.Addresses[name] = e.addr
	}
	switch {
	case b.serves(pod):
		p.Services = b.servicesOf(pod.labels)
	case !b.ends[pod.name]:
		p.Services = b.unreadyServicesOf(pod.labels)
	}
	return p
}

// giveAddresses finds the pod of each workload that bears its fixed addresses: the newest that serves, else, so that
// nobody who hard-codes the address is cut off without need, any that runs.
func (b *bearers) giveAddresses() {
	b.fixed = map[string]map[string]netip.Addr{}
	for i := range b.workloads {
		w := &b.workloads[i]
		fixed := map[string]netip.Addr{}
		for _, a := range w.pod.attachments {
			if a.fixed.IsValid() {
				fixed[a.network] = a.fixed
			}
		}
		var pods []*podInfo
		for j := range b.pods {
			if pod := &b.pods[j]; pod.workload() == w.ref && b.runs(pod) {
				pods = append(pods, pod)
			}
		}
		if len(fixed) == 0 || len(pods) == 0 {
			continue
		}
		rank := func(pod *podInfo) int {
			switch {
			case b.serves(pod) && pod.labels[labelHash] == w.pod.hash:
				return 0
			case b.serves(pod):
				return 1
			case !b.ends[pod.name]:
				return 2
			}
			return 3
		}
		best := slices.MinFunc(pods, func(x, y *podInfo) int {
			return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(ordinal(x.name), ordinal(y.name)))
		})
		b.fixed[best.name] = fixed
	}
}

// ports that the containers of the pod declare, as far as its workload is still wanted.
func (b *bearers) ports(pod *podInfo) []corev1.ContainerPort {
	for i := range b.workloads {
		if b.workloads[i].ref == pod.workload() {
			return b.workloads[i].pod.ports
		}
	}
	return nil
}

func addressesOf(p node.Pod) []netip.Addr {
	var out []netip.Addr
	for _, byNet := range []map[string]netip.Addr{p.Addresses, p.Fixed} {
		for _, a := range byNet {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}
