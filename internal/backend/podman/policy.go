package podman

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/podman/node"
	"mockup.dev/mockup/manifests"
)

// policies are the NetworkPolicies of a set. What they mean is told in
// https://kubernetes.io/docs/concepts/services-networking/network-policies/: a pod that no policy of a direction selects is
// open in it; one that is selected has what any of them allows, and nothing else.
type policies struct {
	all      []policy
	networks []memberNetwork
	// refused are the parts that can't be had here.
	refused []backend.Refusal
}

// policy with its defaults filled in.
type policy struct {
	pods            labels.Selector
	ingress, egress *[]allowance // nil when the policy does not speak of that direction
}

// allowance is a rule of either direction.
type allowance struct {
	// peers; empty for everyone.
	peers []peerChoice
	// ports; empty for all.
	ports []networkingv1.NetworkPolicyPort
}

// peerChoice is a range of addresses, or the pods that a selector selects; without either it is nobody.
type peerChoice struct {
	block *node.Peer
	pods  labels.Selector
}

// memberNetwork is a network whose members, and no other pods, bear the labels of members.
type memberNetwork struct {
	members labels.Selector
	subnet  netip.Prefix
}

// peerPod is a pod of the set as others see it.
type peerPod struct {
	labels map[string]string
	ports  []corev1.ContainerPort
	// addresses on all its networks, fixed ones included.
	addresses []netip.Addr
}

// newPolicies reads the NetworkPolicies among objects; the error names the field that can't be read.
func newPolicies(objects []manifests.Object) (*policies, error) {
	p := &policies{}
	for _, object := range objects {
		if o, ok := object.(*networkingv1.NetworkPolicy); ok {
			if err := p.add(o); err != nil {
				return nil, fmt.Errorf("%s: %w", manifests.RefOf(o), err)
			}
		}
	}
	return p, nil
}

func (p *policies) add(o *networkingv1.NetworkPolicy) error {
	pods, err := metav1.LabelSelectorAsSelector(&o.Spec.PodSelector)
	if err != nil {
		return fmt.Errorf("spec.podSelector: %w", err)
	}
	if text, is := o.Annotations[manifests.AnnotationSubnet]; is {
		subnet, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("annotation %s: %w", manifests.AnnotationSubnet, err)
		}
		p.networks = append(p.networks, memberNetwork{pods, subnet.Masked()})
	}
	out := policy{pods: pods}
	ingress, egress := directions(&o.Spec)
	if ingress {
		out.ingress = &[]allowance{}
		for i, rule := range o.Spec.Ingress {
			if err := p.allow(o, out.ingress, rule.From, rule.Ports, fmt.Sprintf("spec.ingress[%d].from", i)); err != nil {
				return err
			}
		}
	}
	if egress {
		out.egress = &[]allowance{}
		for i, rule := range o.Spec.Egress {
			if err := p.allow(o, out.egress, rule.To, rule.Ports, fmt.Sprintf("spec.egress[%d].to", i)); err != nil {
				return err
			}
		}
	}
	p.all = append(p.all, out)
	return nil
}

// directions of a policy; where it does not name them it is about ingress, and about egress if it has rules for it.
func directions(spec *networkingv1.NetworkPolicySpec) (ingress, egress bool) {
	if len(spec.PolicyTypes) == 0 {
		return true, len(spec.Egress) > 0
	}
	for _, t := range spec.PolicyTypes {
		ingress = ingress || t == networkingv1.PolicyTypeIngress
		egress = egress || t == networkingv1.PolicyTypeEgress
	}
	return ingress, egress
}

// allow reads one rule; path is that of its peers.
func (p *policies) allow(o *networkingv1.NetworkPolicy, to *[]allowance, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort, path string) error {
	a := allowance{ports: ports}
	for i := range peers {
		choice, err := p.choice(o, &peers[i], fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return fmt.Errorf("%s[%d].%w", path, i, err)
		}
		a.peers = append(a.peers, choice)
	}
	*to = append(*to, a)
	return nil
}

func (p *policies) choice(o *networkingv1.NetworkPolicy, peer *networkingv1.NetworkPolicyPeer, path string) (peerChoice, error) {
	if peer.IPBlock != nil {
		block, err := blockOf(peer.IPBlock)
		return peerChoice{block: block}, err
	}
	if peer.NamespaceSelector != nil {
		own, whole, err := selectsNamespace(peer.NamespaceSelector, o.Namespace)
		if err != nil {
			return peerChoice{}, fmt.Errorf("namespaceSelector: %w", err)
		}
		if !whole {
			p.refused = append(p.refused, backend.Refusal{
				Ref: manifests.RefOf(o), Path: path + ".namespaceSelector",
				Reason: "Podman has no namespaces and no labels of them: only " + corev1.LabelMetadataName + ": " + o.Namespace + " selects pods, those of the same owner",
			})
		}
		if !own {
			return peerChoice{}, nil
		}
	}
	selector := peer.PodSelector
	if selector == nil {
		selector = &metav1.LabelSelector{} // a namespaceSelector alone means all pods of the namespace
	}
	pods, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return peerChoice{}, fmt.Errorf("podSelector: %w", err)
	}
	return peerChoice{pods: pods}, nil
}

func blockOf(b *networkingv1.IPBlock) (*node.Peer, error) {
	cidr, err := netip.ParsePrefix(b.CIDR)
	if err != nil {
		return nil, fmt.Errorf("ipBlock.cidr: %w", err)
	}
	peer := &node.Peer{CIDR: cidr.Masked()}
	for i, text := range b.Except {
		except, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("ipBlock.except[%d]: %w", i, err)
		}
		peer.Except = append(peer.Except, except.Masked())
	}
	return peer, nil
}

// selectsNamespace tells whether a selector selects the own namespace, and whether that is all that it says. Of a
// namespace's labels only the one with its name is known; who asks for another gets nobody.
func selectsNamespace(s *metav1.LabelSelector, namespace string) (own, whole bool, err error) {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return false, false, err
	}
	requirements, _ := selector.Requirements()
	for _, r := range requirements {
		if r.Key() != corev1.LabelMetadataName {
			return false, false, nil
		}
	}
	exact, found := selector.RequiresExactMatch(corev1.LabelMetadataName)
	own = selector.Matches(labels.Set{corev1.LabelMetadataName: namespace})
	return own, found && exact == namespace, nil
}
