package host

import (
	"bufio"
	"compress/gzip"
	"io"
	"strings"
)

// FirewallKind is a program that manages a machine's firewall.
type FirewallKind string

// The kinds.
const (
	NoFirewall FirewallKind = ""
	// Firewalld lets containers in: Podman adds their subnets to its zone "trusted" (netavark-firewalld(7)).
	Firewalld FirewallKind = "firewalld"
	// UFW drops what no rule lets in, names included.
	UFW FirewallKind = "ufw"
)

// Firewall is what may stand between pods and the names that are served on the machine's side of their networks.
type Firewall struct {
	Kind FirewallKind
	// Opened are the subnets from which port 53 is let in, as far as its files tell. ufw only.
	Opened []string
}

// firewall looks for a manager. A rootless Podman's networks are in a namespace of their own, which has no firewall.
func (f files) firewall(who Who) Firewall {
	switch {
	case who.Rootless():
		return Firewall{}
	case f.exists("run/firewalld.pid"): // its unit has PIDFile=/run/firewalld.pid
		return Firewall{Kind: Firewalld}
	case strings.Contains("\n"+f.text("etc/ufw/ufw.conf"), "\nENABLED=yes"):
		return Firewall{Kind: UFW, Opened: openedByUFW(f.text("etc/ufw/user.rules"))}
	}
	return Firewall{}
}

// openedByUFW are the sources in lines such as
//
//	-A ufw-user-input -p udp -d 0.0.0.0/0 --dport 53 -s 10.1.0.0/16 -j ACCEPT
func openedByUFW(rules string) []string {
	var found []string
	for line := range strings.Lines(rules) {
		fields := strings.Fields(line)
		rule := map[string]string{}
		for i := 0; i+1 < len(fields); i++ {
			rule[fields[i]] = fields[i+1]
		}
		port, restricted := rule["--dport"]
		if rule["-A"] == "ufw-user-input" && rule["-j"] == "ACCEPT" && rule["-p"] != "tcp" && (!restricted || port == "53") && rule["-s"] != "" {
			found = append(found, rule["-s"])
		}
	}
	return found
}

// nftables tells whether the kernel has them, from whichever place says so: a loaded module, the configuration the kernel
// was built with, or the list of its modules.
func (f files) nftables() Known {
	release := f.text("proc/sys/kernel/osrelease")
	if f.isDir("sys/module/nf_tables") {
		return Yes
	}
	if config := f.kernelConfig(release); config != "" {
		if strings.Contains(config, "\nCONFIG_NF_TABLES=") && strings.Contains(config, "\nCONFIG_NF_TABLES_INET=") {
			return Yes
		}
		return No
	}
	modules := "lib/modules/" + release + "/modules."
	list := f.text(modules+"builtin") + f.text(modules+"dep")
	switch {
	case list == "":
		return Unknown
	case strings.Contains(list, "/nf_tables.ko"):
		return Yes
	}
	return No
}

func (f files) kernelConfig(release string) string {
	if file, err := f.Open("proc/config.gz"); err == nil {
		defer file.Close()
		if unpacked, err := gzip.NewReader(bufio.NewReader(file)); err == nil {
			text, _ := io.ReadAll(unpacked) // an end too early leaves what was read
			return "\n" + string(text)
		}
	}
	if text := f.text("boot/config-" + release); text != "" {
		return "\n" + text
	}
	return ""
}
