package node

import "net/netip"

// State is what the agent keeps true for one owner: the whole of it, each time.
type State struct {
	// Owner in the form of manifests.Owner.String.
	Owner string `json:"owner"`
	// Namespace of the owner: the second label of its Services' names.
	Namespace string    `json:"namespace"`
	Networks  []Network `json:"networks,omitempty"`
	Pods      []Pod     `json:"pods,omitempty"`
	// Services that lead to the node itself.
	Services []Service `json:"services,omitempty"`
	// Logs of its pods.
	Logs Logs `json:"logs,omitzero"`
}

// Service is a name that leads the pods of the owner to the node's address on their network, and the TCP port there
// that leads on to a program of the node, which listens at PortSocket.
type Service struct {
	Name string `json:"name"`
	Port uint16 `json:"port"`
}

// Logs are kept where log agents look for them, as by a kubelet: DIR/NAMESPACE_POD_ID/CONTAINER/N.log.
type Logs struct {
	// Dir has the pods' folders. It is made if need be, and must be on the file system that Podman's containers are on.
	Dir  string    `json:"dir,omitempty"`
	Pods []PodLogs `json:"pods,omitempty"`
}

// PodLogs are those of a pod that is there, whether it runs or has ended.
type PodLogs struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	// Containers have the file that Podman writes, by the name of the container.
	Containers map[string]string `json:"containers,omitempty"`
}

// Network is a bridge of Podman's.
type Network struct {
	Name   string       `json:"name"`
	Subnet netip.Prefix `json:"subnet"`
	// Gateway is the node's own address on the bridge. Names are served there.
	Gateway netip.Addr `json:"gateway"`
	// Bridge is the interface. An internal network whose names Podman does not serve gets no address of the node from it,
	// so the agent gives Gateway to the bridge, as soon as there is one and whenever it was made anew.
	Bridge string `json:"bridge,omitempty"`
	// Internal networks have no way out, and no names of the outside.
	Internal bool `json:"internal,omitempty"`
}

// Pod of the owner that runs.
type Pod struct {
	Name string `json:"name"`
	// NetNS is the path of its network namespace.
	NetNS string `json:"netns"`
	// Addresses that Podman gave it, by network.
	Addresses map[string]netip.Addr `json:"addresses,omitempty"`
	// Fixed addresses that it bears beside those, by network. No other pod bears them.
	Fixed map[string]netip.Addr `json:"fixed,omitempty"`
	// Services whose names lead to it.
	Services []string `json:"services,omitempty"`
	// Ingress and Egress are what may reach it and what it may reach; nil for everything.
	Ingress *Rules `json:"ingress,omitempty"`
	Egress  *Rules `json:"egress,omitempty"`
}

// Rules are what is allowed in one direction; everything else is dropped, save for established connections, the
// loopback interface, and the node itself.
type Rules struct {
	Allow []Rule `json:"allow,omitempty"`
}

// Rule allows peers on ports.
type Rule struct {
	// Peers; empty for everyone.
	Peers []Peer `json:"peers,omitempty"`
	// Ports; empty for all of all protocols.
	Ports []Port `json:"ports,omitempty"`
}

// Peer is a range of addresses.
type Peer struct {
	CIDR   netip.Prefix   `json:"cidr"`
	Except []netip.Prefix `json:"except,omitempty"`
}

// Port is a range of ports of the pod for ingress, of the peer for egress.
type Port struct {
	// Protocol is TCP, UDP or SCTP.
	Protocol string `json:"protocol"`
	// Port is the first of the range; 0 for all ports.
	Port uint16 `json:"port,omitempty"`
	// EndPort is the last; 0 for Port alone.
	EndPort uint16 `json:"endPort,omitempty"`
}

// Answer to a State: what could not be made true.
type Answer struct {
	// Failures by pod. Such a pod bears no names and no fixed addresses.
	Failures map[string]string `json:"failures,omitempty"`
	// Logs says of a pod why log agents don't find its logs, which keeps it from nothing else.
	Logs map[string]string `json:"logs,omitempty"`
}
