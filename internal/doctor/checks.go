package doctor

import (
	"fmt"
	"strings"

	"mockup.dev/mockup/internal/host"
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
	case !host.AtLeast(f.Info.Version.Version, minPodman):
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
	case !host.AtLeast(f.PodmanBinary, minPodman):
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
	case runtime.Name == "crun" && !host.AtLeast(version, minCrun):
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

func checkFirewall(f Facts) Finding {
	const check = "firewall commands"
	if len(f.Firewall) == 0 {
		return Finding{check, Fail, "neither nft nor iptables is there: no container network can be set up", "install nftables, and iptables for netavark before 1.10"}
	}
	return ok(check, "%s", strings.Join(f.Firewall, ", "))
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
	case !host.AtLeast(f.Kubectl, minKubectl):
		return Finding{check, Warn, "version " + f.Kubectl + " is old", mend}
	}
	return ok(check, "version %s", f.Kubectl)
}

// firstVersion is the first word of text that looks like a version.
func firstVersion(text string) string {
	for _, word := range strings.Fields(text) {
		word = strings.Trim(word, ",")
		if host.AtLeast(word, "0.0") && strings.Contains(word, ".") {
			return word
		}
	}
	return "of unknown version"
}
