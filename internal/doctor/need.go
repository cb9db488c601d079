package doctor

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// NeedOf is what stacks and addons ask of a host; images maps references to those that are really run. Without any it is
// what most stacks need: the ports of the web and the gateway's image.
func NeedOf(stacks []*v1alpha1.MockupStack, addons []*v1alpha1.ObservabilityAddon, images map[string]string) Need {
	var n Need
	used := map[string]bool{}
	for _, s := range stacks {
		owner := manifests.StackOwner(s).String()
		for _, network := range s.Spec.Networks {
			if prefix, err := netip.ParsePrefix(network.Subnet); err == nil {
				n.Subnets = append(n.Subnets, Subnet{Name: network.Name, Prefix: prefix, Owner: owner})
			}
		}
		for _, service := range s.Spec.Services {
			used[service.Image] = true
		}
		if g := s.Spec.Gateway; g != nil {
			n.addGateway(g, owner)
			used[cmp.Or(g.Image, manifests.ImageNginx)] = true
		}
	}
	for _, a := range addons {
		n.addAddon(a, watched(a, stacks), used)
	}
	if len(stacks)+len(addons) == 0 {
		n.Ports = []Port{{Number: 80}, {Number: 443}}
		used[manifests.ImageNginx] = true
	}
	for image := range used {
		n.Images = append(n.Images, cmp.Or(images[image], image))
	}
	slices.Sort(n.Images)
	n.Images = slices.Compact(n.Images)
	return n
}

func (n *Need) addGateway(g *v1alpha1.Gateway, owner string) {
	ports := []v1alpha1.GatewayPort{g.HTTPS}
	if g.HTTP != nil {
		ports = append(ports, *g.HTTP)
	}
	for _, p := range ports {
		address, _ := netip.ParseAddr(p.HostIP) // empty: all addresses, which the zero value says
		n.Ports = append(n.Ports, Port{Address: address, Number: uint16(p.HostPort), Owner: owner})
	}
}

// watched is the stack that an addon watches, if it is among stacks.
func watched(a *v1alpha1.ObservabilityAddon, stacks []*v1alpha1.MockupStack) *v1alpha1.MockupStack {
	for _, s := range stacks {
		if s.Namespace == a.Namespace && s.Name == a.Spec.StackRef.Name {
			return s
		}
	}
	return nil
}

// addAddon adds the ports of an addon that can be looked for, which are those of TCP.
func (n *Need) addAddon(a *v1alpha1.ObservabilityAddon, stack *v1alpha1.MockupStack, used map[string]bool) {
	owner := manifests.ObservabilityOwner(a).String()
	for _, c := range manifests.ObservabilityContainers(a, manifests.ObservabilityFacts{Stack: stack}) {
		used[c.Image] = true
		for _, p := range c.Ports {
			if p.HostPort == 0 || p.Protocol == corev1.ProtocolUDP {
				continue
			}
			address, _ := netip.ParseAddr(p.HostIP) // empty: all addresses, which the zero value says
			n.Ports = append(n.Ports, Port{Address: address, Number: uint16(p.HostPort), Owner: owner})
		}
	}
}
