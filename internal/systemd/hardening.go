package systemd

import "time"

// defaultGrace is for the node agent, which has nothing to write when it ends.
const defaultGrace = 10 * time.Second

// What a service can't do, so that a fault in it reaches no further. In a user's units only what seccomp does is to be had:
// their systemd would need a user namespace for the rest, in which Podman's newuidmap has no power.

// bySeccomp holds for every program in Go. (Podman's service keeps the umask that it has elsewhere, for it makes volumes.)
func bySeccomp() []string {
	return []string{
		"UMask=0077", "NoNewPrivileges=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes", "RestrictRealtime=yes", "RestrictSUIDSGID=yes",
		"SystemCallArchitectures=native",
	}
}

// byMounts is for services of root's that write to the state folder alone.
func (p Platform) byMounts() []string {
	return []string{
		"ProtectSystem=strict", readWrite(p.StateDir), "ProtectClock=yes", "ProtectControlGroups=yes", "ProtectHostname=yes",
		"ProtectKernelLogs=yes", "ProtectKernelModules=yes", "ProtectKernelTunables=yes",
	}
}

// controlPlane writes its folder and listens on the loopback interface.
func (p Platform) controlPlane() []string {
	settings := append(bySeccomp(), "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK", "RestrictNamespaces=yes")
	if p.Scope == User {
		return settings
	}
	return append(append(settings, "CapabilityBoundingSet=", "PrivateDevices=yes"), p.byMounts()...)
}

// operator speaks to Podman's socket, to pods, and to systemd for the node
// agent. A user's may have to start Podman, which needs newuidmap, a program with privileges of its own.
func (p Platform) operator() []string {
	if p.Scope == User {
		return nil
	}
	settings := append(bySeccomp(), "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK", "RestrictNamespaces=yes",
		"RuntimeDirectory=mockup", "RuntimeDirectoryMode=0700", "RuntimeDirectoryPreserve=yes")
	return append(settings, p.byMounts()...)
}

// nodeSettings: the agent enters network namespaces, which are mounts that come and go, so that it must have the machine's
// own view of them: nothing of byMounts. The capabilities are for setns and the namespaces' files in /proc, addresses and
// rules, announcing an address by ARP, and port 53.
func (p Platform) nodeSettings() []string {
	if p.Scope == User {
		return nil // podman unshare needs newuidmap
	}
	return append(bySeccomp(), "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET",
		"CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE")
}
