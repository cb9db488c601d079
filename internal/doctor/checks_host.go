package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mockup.dev/mockup/internal/host"
)

// checkHost says what the machine can do, and then what it lacks.
func checkHost(f Facts) []Finding {
	var all []Finding
	lacks := f.Host.Lacks()
	lacking := func(topic host.Topic) bool {
		return slices.ContainsFunc(lacks, func(l host.Lack) bool { return l.Topic == topic })
	}
	if !lacking(host.TopicCgroups) {
		all = append(all, describeCgroups(f.Host.Cgroups))
	}
	if f.Host.Who.Rootless() {
		all = append(all, describeRootless(f.Host, lacking)...)
	}
	switch f.Host.NFTables {
	case host.Yes:
		all = append(all, ok(string(host.TopicNetworkPolicies), "the kernel has nftables"))
	case host.Unknown:
		all = append(all, ok(string(host.TopicNetworkPolicies), "the kernel does not tell whether it has nftables"))
	}
	if !lacking(host.TopicBoot) {
		all = append(all, ok(string(host.TopicBoot), "systemd is there: \"mockup install\" makes everything come back by itself"))
	}
	for _, l := range lacks {
		if l.Topic != host.TopicPorts { // each port is checked for itself
			all = append(all, findingOf(l))
		}
	}
	return all
}

// findingOf a lack. That nothing comes back by itself where there is no systemd is no fault of the host's.
func findingOf(l host.Lack) Finding {
	finding := Finding{Check: string(l.Topic), Level: Warn, Message: l.Because + ": " + l.Consequence, Mend: l.Mend}
	switch {
	case l.Fatal:
		finding.Level = Fail
	case l.Topic == host.TopicBoot && strings.Contains(l.Because, "systemd"):
		finding.Level = OK
	}
	return finding
}

func describeCgroups(c host.Cgroups) Finding {
	const check = string(host.TopicCgroups)
	controllers := strings.Join(c.Controllers, ", ")
	if controllers == "" {
		controllers = "no controllers"
	}
	version := map[host.CgroupVersion]string{
		host.CgroupV1:     "version 1, which Podman will not support for ever,",
		host.CgroupHybrid: "version 1 (hybrid), which Podman will not support for ever,",
		host.CgroupV2:     "version 2",
	}
	return ok(check, "%s with %s", version[c.Version], controllers)
}

func describeRootless(h host.Host, lacking func(host.Topic) bool) []Finding {
	var all []Finding
	if !lacking(host.TopicUserNamespaces) {
		all = append(all, ok(string(host.TopicUserNamespaces), "users may make them"))
	}
	if !lacking(host.TopicSubordinateIDs) {
		all = append(all, ok(string(host.TopicSubordinateIDs), "%s has %d in /etc/subuid and /etc/subgid", h.Who.Name, min(h.Rootless.SubUIDs, h.Rootless.SubGIDs)))
	}
	if !lacking(host.TopicRootlessNetwork) {
		all = append(all, ok(string(host.TopicRootlessNetwork), "%s leads out, /dev/net/tun can be opened", h.Rootless.NetworkTool))
	}
	return all
}

// checkNames tells whether pods reach the names that are served on the host's side of their networks: UDP and TCP port 53
// must be let in from their subnets.
func checkNames(f Facts, n Need) []Finding {
	const check = string(host.TopicNames)
	const consequence = "pods do not find each other by name unless port 53 is let in from their subnets"
	subnets := closed(f.Host.Firewall, n)
	switch {
	case f.Host.Who.Rootless():
		return nil // their networks are in a namespace without a firewall
	case f.Host.Firewall.Kind == host.Firewalld:
		return []Finding{ok(check, "firewalld is active; Podman adds the subnets of its networks to zone trusted")}
	case f.Host.Firewall.Kind == host.UFW && len(subnets) == 0:
		return []Finding{ok(check, "ufw is active, and lets port 53 in")}
	case f.Host.Firewall.Kind == host.UFW:
		return []Finding{{check, Warn, "ufw is active: " + consequence, forEach(subnets, "sudo ufw allow from %s to any port 53")}}
	case len(f.InputDrops) > 0:
		c := f.InputDrops[0]
		rule := "sudo nft insert rule " + c.Table + " " + c.Name + " ip saddr %s meta l4proto '{ tcp, udp }' th dport 53 accept"
		return []Finding{{check, Warn, fmt.Sprintf("chain %s of table %s drops what comes in: %s", c.Name, c.Table, consequence), forEach(subnets, rule)}}
	}
	return []Finding{ok(check, "no firewall drops what comes in")}
}

// closed are the subnets that are needed and from which a firewall's files let no port 53 in.
func closed(fw host.Firewall, n Need) []string {
	if len(n.Subnets) == 0 && len(fw.Opened) == 0 {
		return []string{"SUBNET"}
	}
	var found []string
	for _, s := range n.Subnets {
		if !slices.ContainsFunc(fw.Opened, func(o string) bool { return covers(o, s.Prefix) }) {
			found = append(found, s.Prefix.String())
		}
	}
	return found
}

func covers(source string, subnet netip.Prefix) bool {
	p, err := netip.ParsePrefix(source)
	return err == nil && p.Bits() <= subnet.Bits() && p.Contains(subnet.Addr())
}

func forEach(subnets []string, command string) string {
	var all []string
	for _, s := range subnets {
		all = append(all, fmt.Sprintf(command, s))
	}
	return strings.Join(all, " && ")
}

func checkPodmanFeatures(f Facts) []Finding {
	var all []Finding
	for _, l := range host.PodmanLacks(f.Info.Version.Version) {
		all = append(all, findingOf(l))
	}
	return all
}
