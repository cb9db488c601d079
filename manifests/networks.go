package manifests

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/api/v1alpha1"
)

// networks are the networks of the stack and, if it has a gateway, its opening to the outside.
func (r *renderer) networks() []Object {
	var out []Object
	for i := range r.stack.Spec.Networks {
		out = append(out, r.network(&r.stack.Spec.Networks[i]))
	}
	if r.stack.Spec.Gateway != nil {
		out = append(out, r.gatewayIngress())
	}
	return out
}

// network lets its pods talk to each other and, unless it is internal, to the world. A pod on two networks may do what
// either allows, as a pod with two interfaces can.
func (r *renderer) network(n *v1alpha1.Network) *networkingv1.NetworkPolicy {
	members := metav1.LabelSelector{MatchLabels: map[string]string{
		LabelPartOf:                 r.owner.Name, // other stacks of the namespace may have a network of this name
		LabelNetworkPrefix + n.Name: "true",
	}}
	peers := []networkingv1.NetworkPolicyPeer{{PodSelector: &members}}
	policy := r.policy(NetworkName(r.owner.Name, n.Name), n.Name, members)
	policy.Annotations = map[string]string{
		AnnotationSubnet:   n.Subnet,
		AnnotationInternal: strconv.FormatBool(n.Internal),
	}
	policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers}}
	policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
	if n.Internal {
		dns := networkingv1.NetworkPolicyEgressRule{Ports: []networkingv1.NetworkPolicyPort{
			policyPort(corev1.ProtocolUDP, 53), policyPort(corev1.ProtocolTCP, 53),
		}}
		policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: peers}, dns}
	}
	return policy
}

// gatewayIngress opens the gateway's ports to everyone. It has no subnet and so is no network.
func (r *renderer) gatewayIngress() *networkingv1.NetworkPolicy {
	gateway := metav1.LabelSelector{MatchLabels: selectorLabels(r.owner, ComponentGateway)}
	policy := r.policy(gatewayIngressName(r.owner.Name), ComponentGateway, gateway)
	policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	ports := []networkingv1.NetworkPolicyPort{policyPort(corev1.ProtocolTCP, gatewayHTTPSPort)}
	if r.stack.Spec.Gateway.HTTP != nil {
		ports = append([]networkingv1.NetworkPolicyPort{policyPort(corev1.ProtocolTCP, gatewayHTTPPort)}, ports...)
	}
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{Ports: ports}}
	return policy
}

func (r *renderer) policy(name, component string, pods metav1.LabelSelector) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		TypeMeta:   typeMeta("networking.k8s.io/v1", "NetworkPolicy"),
		ObjectMeta: r.meta(name, component),
		Spec:       networkingv1.NetworkPolicySpec{PodSelector: pods},
	}
}

func policyPort(protocol corev1.Protocol, port int32) networkingv1.NetworkPolicyPort {
	number := intstr.FromInt32(port)
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &number}
}
