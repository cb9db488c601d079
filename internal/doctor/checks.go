package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Oldest versions that do.
const (
	minPodman  = "5.4.0"
	minKubectl = "1.30.0"
	// minCrun understands bundles of runtime specification 1.2, which Podman 5 writes.
	minCrun = "1.14.3"
)

const (
	gib = 1 << 30
	mib = 1 << 20
)

func ok(check, format string, args ...any) Finding {
	return Finding{Check: check, Level: OK, Message: fmt.Sprintf(format, args...)}
}

func checkPodman(f Facts) []Finding {
	var all []Finding
	if !f.Quick {
		all = append(all, checkPodmanCommand(f))
	}
	const check = "podman socket"
	switch {
	case f.Socket == "" && f.PodmanPath != "":
		return append(all, Finding{check, Warn, "none answers: " + f.SocketError,
			"nothing to do: \"mockup up\" starts Podman's service; on a host with systemd, \"systemctl enable --now podman.socket\" does it for good"})
	case f.Socket == "":
		return append(all, Finding{check, Fail, "none answers: " + f.SocketError,
			"install Podman " + minPodman + " or newer, or name its socket with --podman-socket or CONTAINER_HOST"})
	case !atLeast(f.Info.Version.Version, minPodman):
		return append(all, Finding{check, Fail, fmt.Sprintf("Podman %s answers at %s, which is too old", f.Info.Version.Version, f.Socket),
			"install Podman " + minPodman + " or newer and restart its service"})
	}
	return append(all, ok(check, "Podman %s answers at %s", f.Info.Version.Version, f.Socket))
}

func checkPodmanCommand(f Facts) Finding {
	const check = "podman command"
	switch {
	case f.PodmanPath == "" && f.Socket != "":
		return Finding{check, Warn, "not in PATH", "install it if you want to look at containers by hand; the socket is enough for mockup"}
	case f.PodmanPath == "":
		return Finding{check, Fail, "not in PATH", "install Podman " + minPodman + " or newer"}
	case !atLeast(f.PodmanBinary, minPodman):
		return Finding{check, Fail, fmt.Sprintf("%s is version %s, which is too old", f.PodmanPath, f.PodmanBinary),
			"install Podman " + minPodman + " or newer; \"make setup\" builds one"}
	}
	return ok(check, "%s is version %s", f.PodmanPath, f.PodmanBinary)
}

func checkRuntime(f Facts) Finding {
	const check = "container runtime"
	runtime, conmon := f.Info.Host.OCIRuntime, f.Info.Host.Conmon
	version := firstVersion(runtime.Version)
	switch {
	case runtime.Path == "":
		return Finding{check, Fail, "Podman finds no OCI runtime", "install crun or runc"}
	case conmon.Path == "":
		return Finding{check, Fail, "Podman finds no conmon", "install conmon"}
	case runtime.Name == "crun" && !atLeast(version, minCrun):
		return Finding{check, Fail, fmt.Sprintf("crun %s refuses what Podman 5 writes (unknown version specified)", version),
			"install crun " + minCrun + " or newer, or runc with runtime = \"runc\" in containers.conf; \"make setup\" does"}
	}
	return ok(check, "%s %s, conmon %s", runtime.Name, version, firstVersion(conmon.Version))
}

func checkNetworkBackend(f Facts) Finding {
	const check = "container networks"
	h := f.Info.Host
	switch {
	case h.NetworkBackend != "netavark":
		return Finding{check, Fail, fmt.Sprintf("Podman uses %q, which has no isolated networks", h.NetworkBackend),
			"install netavark and aardvark-dns and set network_backend = \"netavark\" in containers.conf"}
	case h.NetworkBackendInfo.Path == "":
		return Finding{check, Fail, "Podman finds no netavark", "install netavark"}
	case h.NetworkBackendInfo.DNS.Path == "":
		return Finding{check, Fail, "Podman finds no aardvark-dns: services would not find each other by name", "install aardvark-dns"}
	}
	return ok(check, "netavark %s, aardvark-dns %s", firstVersion(h.NetworkBackendInfo.Version), firstVersion(h.NetworkBackendInfo.DNS.Version))
}

func checkCgroups(f Facts) Finding {
	const check = "cgroups"
	h := f.Info.Host
	if h.CgroupVersion != "v2" {
		if f.Info.Host.Security.Rootless {
			return Finding{check, Warn, "version 1: limits of memory and CPU are not enforced without root", "boot with systemd.unified_cgroup_hierarchy=1"}
		}
		return ok(check, "version 1, which Podman will not support for ever")
	}
	var missing []string
	for _, want := range []string{"cpu", "memory", "pids"} {
		if !slices.Contains(h.CgroupControllers, want) {
			missing = append(missing, want)
		}
	}
	if len(missing) > 0 {
		return Finding{check, Warn, fmt.Sprintf("version 2, but these controllers are not delegated: %s; their limits are not enforced", strings.Join(missing, ", ")),
			"delegate them: Delegate=cpu memory pids in a drop-in of user@.service"}
	}
	return ok(check, "version 2 with %s", strings.Join(h.CgroupControllers, ", "))
}

func checkFirewall(f Facts) Finding {
	const check = "firewall commands"
	if len(f.Firewall) == 0 {
		return Finding{check, Fail, "neither nft nor iptables is there: no container network can be set up", "install nftables, and iptables for netavark before 1.10"}
	}
	return ok(check, "%s", strings.Join(f.Firewall, ", "))
}

func checkRootless(f Facts) []Finding {
	var all []Finding
	if f.SubordinateIDs {
		all = append(all, ok("subordinate ids", "%s has ranges in /etc/subuid and /etc/subgid", f.User))
	} else {
		all = append(all, Finding{"subordinate ids", Fail, f.User + " has no ranges in /etc/subuid and /etc/subgid",
			"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + f.User + " && podman system migrate"})
	}
	if f.Tun {
		return append(all, ok("/dev/net/tun", "can be opened"))
	}
	return append(all, Finding{"/dev/net/tun", Fail, "can't be opened: rootless networks need it", "sudo modprobe tun && sudo chmod 666 /dev/net/tun"})
}

func checkImages(f Facts, n Need) []Finding {
	if f.Socket == "" {
		return nil
	}
	var all []Finding
	for _, image := range n.Images {
		switch {
		case f.Images[image]:
			all = append(all, ok("image", "%s is there", image))
		case strings.HasPrefix(image, "localhost/"):
			all = append(all, Finding{"image", Fail, image + " is not there, and is in no registry", "build it: \"make images\""})
		default:
			all = append(all, Finding{"image", Warn, image + " is not there yet", "nothing to do where its registry answers; elsewhere build a stand-in (\"make images\") and pass --image-map"})
		}
	}
	return all
}

func checkDisk(d Disk) Finding {
	check := "space for " + d.What
	free := fmt.Sprintf("%.1f GiB are free in %s", float64(d.Free)/gib, d.Path)
	mend := "make room there, e.g. with \"podman image prune\""
	switch {
	case d.Free < d.Minimum:
		return Finding{check, Fail, free + ", too little", mend}
	case d.Free < d.Low:
		return Finding{check, Warn, free + ", not much", mend}
	}
	return ok(check, "%s", free)
}

func checkMemory(f Facts) Finding {
	const check = "memory"
	free := fmt.Sprintf("%d MiB are available", f.MemoryAvailable/mib)
	switch {
	case f.MemoryAvailable < 384*mib:
		return Finding{check, Fail, free + "; control plane, operator and the sample need about 500", "end other programs"}
	case f.MemoryAvailable < gib:
		return Finding{check, Warn, free + ", not much", "end other programs"}
	}
	return ok(check, "%s", free)
}

func checkKubectl(f Facts) Finding {
	const check = "kubectl"
	mend := "install kubectl " + minKubectl + " or newer; \"make setup\" builds one"
	switch {
	case f.Kubectl == "":
		return Finding{check, Warn, "not in PATH: mockup's own verbs work without it", mend}
	case !atLeast(f.Kubectl, minKubectl):
		return Finding{check, Warn, "version " + f.Kubectl + " is old", mend}
	}
	return ok(check, "version %s", f.Kubectl)
}

// atLeast compares the numbers of versions, as far as want has them; what follows a - is ignored.
func atLeast(have, want string) bool {
	h, w := numbers(have), numbers(want)
	if len(h) == 0 {
		return false
	}
	return slices.Compare(h, w) >= 0
}

func numbers(version string) []int {
	version = strings.TrimPrefix(strings.TrimSpace(version), "v")
	if i := strings.IndexAny(version, "-+~ "); i >= 0 {
		version = version[:i]
	}
	var found []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return found
		}
		found = append(found, n)
	}
	return found
}

// firstVersion is the first word of text that looks like a version.
func firstVersion(text string) string {
	for _, word := range strings.Fields(text) {
		word = strings.Trim(word, ",")
		if n := numbers(word); len(n) >= 2 {
			return word
		}
	}
	return "of unknown version"
}
