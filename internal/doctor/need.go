package doctor

import (
	"cmp"
	"net/netip"
	"slices"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// NeedOf is what the stacks ask of a host; images maps references to those that are really run. Without stacks it is
// what most stacks need: the ports of the web and the gateway's image.
func NeedOf(stacks []*v1alpha1.MockupStack, images map[string]string) Need {
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
	if len(stacks) == 0 {
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
