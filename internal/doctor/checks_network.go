package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

func checkPorts(f Facts, n Need) []Finding {
	var all []Finding
	for _, p := range n.Ports {
		all = append(all, checkPort(f, p))
	}
	return all
}

func checkPort(f Facts, p Port) Finding {
	check := fmt.Sprintf("port %d", p.Number)
	if i := slices.IndexFunc(f.Published, func(h Published) bool { return h.Port == p.Number && clash(h.Address, p.Address) }); i >= 0 {
		holder := f.Published[i]
		if holder.Owner != "" && holder.Owner == p.Owner {
			return ok(check, "held by this %s already (%s)", wordFor(p.Owner), holder.Holder)
		}
		return Finding{check, Fail, fmt.Sprintf("held by %s%s", holder.Holder, ofOwner(holder.Owner)),
			fmt.Sprintf("stop it, or choose another hostPort than %d", p.Number)}
	}
	if i := slices.IndexFunc(f.Listeners, func(h Listener) bool { return h.Port == p.Number && clash(h.Address, p.Address) }); i >= 0 {
		holder := f.Listeners[i]
		if holder.PID == 0 {
			return Finding{check, Fail, "held by a process of another user", fmt.Sprintf("look with \"sudo ss -ltnp sport = :%d\", or choose another hostPort", p.Number)}
		}
		return Finding{check, Fail, fmt.Sprintf("held by process %d (%s)", holder.PID, holder.Command),
			fmt.Sprintf("end that process, or choose another hostPort than %d", p.Number)}
	}
	if f.Host.Who.Rootless() && int(p.Number) < f.Host.UnprivilegedPortStart {
		return Finding{check, Fail, fmt.Sprintf("only root may open ports below %d", f.Host.UnprivilegedPortStart),
			fmt.Sprintf("sudo sysctl net.ipv4.ip_unprivileged_port_start=%d, or choose a hostPort from %d on", p.Number, f.Host.UnprivilegedPortStart)}
	}
	return ok(check, "free")
}

// clash tells whether both addresses can't listen on the same port. All addresses are invalid or unspecified.
func clash(a, b netip.Addr) bool {
	all := func(x netip.Addr) bool { return !x.IsValid() || x.IsUnspecified() }
	return all(a) || all(b) || a.Unmap() == b.Unmap()
}

func ofOwner(owner string) string {
	if owner == "" {
		return ""
	}
	return " of " + owner
}

// wordFor an owner, for people.
func wordFor(owner string) string {
	if strings.HasPrefix(owner, "ObservabilityAddon.") {
		return "addon"
	}
	return "stack"
}

func checkSubnets(f Facts, n Need) []Finding {
	var all []Finding
	for _, s := range n.Subnets {
		all = append(all, checkSubnet(f, s))
	}
	return all
}

func checkSubnet(f Facts, s Subnet) Finding {
	check := "subnet " + s.Prefix.String()
	mend := fmt.Sprintf("choose another subnet for network %s", s.Name)
	bridges := map[string]bool{}
	ours := false
	for _, other := range f.Networks {
		bridges[other.Interface] = true
		if !other.Prefix.Overlaps(s.Prefix) {
			continue
		}
		if other.Owner == "" || other.Owner != s.Owner {
			return Finding{check, Fail, fmt.Sprintf("overlaps %s of Podman's network %s%s", other.Prefix, other.Name, ofOwner(other.Owner)),
				mend + fmt.Sprintf(", or remove that network: podman network rm %s", other.Name)}
		}
		ours = true
	}
	for _, r := range f.Routes {
		// The default route overlaps everything and gives way to what is more exact.
		if r.Prefix.Bits() > 0 && !bridges[r.Interface] && r.Prefix.Overlaps(s.Prefix) {
			return Finding{check, Fail, fmt.Sprintf("overlaps %s, to which this host has a route over %s", r.Prefix, r.Interface), mend}
		}
	}
	if ours {
		return ok(check, "used by this stack already")
	}
	return ok(check, "free")
}
