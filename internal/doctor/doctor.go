// Package doctor looks at a host and says what would keep a stack from running there, and how to mend it. Facts are
// gathered first; what to make of them is pure.
package doctor

import (
	"net/netip"

	"mockup.dev/mockup/internal/host"
	"mockup.dev/mockup/internal/podmansocket"
)

// Level of a finding.
type Level string

// The levels. Only Fail keeps stacks from running.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is the outcome of one check.
type Finding struct {
	Check   string `json:"check"`
	Level   Level  `json:"level"`
	Message string `json:"message"`
	// Mend says how, unless all is well.
	Mend string `json:"mend,omitempty"`
}

// Need is what stacks ask of a host.
type Need struct {
	Ports   []Port
	Subnets []Subnet
	// Images after the image map.
	Images []string
}

// Port on the host that a stack asks for.
type Port struct {
	// Address to listen on; invalid for all of them.
	Address netip.Addr
	Number  uint16
	// Owner in the form of the owner label; empty for nobody in particular.
	Owner string
}

// Subnet that a stack asks for.
type Subnet struct {
	Name   string
	Prefix netip.Prefix
	Owner  string
}

// Facts about a host.
type Facts struct {
	// Host is what the machine's own files tell.
	Host host.Host
	// PodmanBinary is the version of the podman command, PodmanPath where it is; empty if there is none.
	PodmanBinary, PodmanPath string
	// Socket that answers, or why none does.
	Socket      string
	SocketError string
	// Info of the Podman behind the socket.
	Info podmansocket.Info
	// Kubectl is the version of the kubectl command; empty if there is none.
	Kubectl string
	// Quick facts lack what takes long to learn: the versions of Podman's helpers and of commands.
	Quick bool

	Listeners []Listener
	Published []Published
	Routes    []Route
	Networks  []Network
	// Images says of those that are needed whether Podman has them.
	Images map[string]bool

	Disks []Disk
	// MemoryAvailable in bytes.
	MemoryAvailable int64
	// Firewall lists the commands by which netavark may set rules that are there.
	Firewall []string
	// InputDrops are chains of the host's firewall that drop what comes in. Only root can learn them.
	InputDrops []host.Chain
}

// Listener is a process that listens on a TCP port.
type Listener struct {
	Address netip.Addr
	Port    uint16
	// PID and Command of the process; 0 and empty if it is another user's.
	PID     int
	Command string
}

// Published is a port of a container on the host.
type Published struct {
	Address netip.Addr // invalid for all
	Port    uint16
	// Holder is the pod or container, for people.
	Holder string
	// Owner label of the pod; empty if it is not ours.
	Owner string
}

// Route of the host.
type Route struct {
	Prefix    netip.Prefix
	Interface string
}

// Network of Podman.
type Network struct {
	Name, Owner, Interface string
	Prefix                 netip.Prefix
}

// Disk is a folder whose file system must have room.
type Disk struct {
	What, Path string
	// Free bytes for this user.
	Free int64
	// Low is where it gets tight and Minimum where it does not do, in bytes.
	Low, Minimum int64
}

// Check judges facts. The findings come in a fixed order.
func Check(f Facts, n Need) []Finding {
	var all []Finding
	all = append(all, checkPodman(f)...)
	if f.Socket != "" && !f.Quick {
		all = append(all, checkRuntime(f), checkNetworkBackend(f))
	}
	if f.Socket != "" {
		all = append(all, checkPodmanFeatures(f)...)
	}
	all = append(all, checkHost(f)...)
	all = append(all, checkFirewall(f))
	all = append(all, checkNames(f, n)...)
	all = append(all, checkPorts(f, n)...)
	all = append(all, checkSubnets(f, n)...)
	all = append(all, checkImages(f, n)...)
	for _, d := range f.Disks {
		all = append(all, checkDisk(d))
	}
	all = append(all, checkMemory(f))
	if !f.Quick {
		all = append(all, checkKubectl(f))
	}
	return all
}

// Failed are the findings that keep stacks from running.
func Failed(all []Finding) []Finding {
	var failed []Finding
	for _, f := range all {
		if f.Level == Fail {
			failed = append(failed, f)
		}
	}
	return failed
}
