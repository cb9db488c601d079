package podman

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"mockup.dev/mockup/manifests"
)

// Labels of this backend on Podman's objects, beside manifests.LabelOwner and manifests.LabelWorkload.
const (
	// labelHash on a pod is the digest of everything it was played from: an equal hash means nothing to do.
	labelHash = "mockup.dev/template-hash"
	// labelPod on a volume names the pod that it carries configuration for, and goes with.
	labelPod = "mockup.dev/pod"
	// labelClaim on a volume names the claim that it fulfils.
	labelClaim = "mockup.dev/claim"
	// labelKind on a pod is the kind of its workload, beside manifests.LabelWorkload.
	labelKind = "mockup.dev/workload-kind"
	// labelServices on a pod are the Services that lead to it, joined by commas.
	labelServices = "mockup.dev/services"
	// labelGrace on a pod is its termination grace in seconds.
	labelGrace = "mockup.dev/termination-grace-seconds"
	// labelRetains on an empty volume names another whose claim became Retain after it was made: Podman can't change the
	// labels of a volume.
	labelRetains = "mockup.dev/retains"
	// labelNetwork on a network is the NetworkPolicy that describes it.
	labelNetwork = "mockup.dev/network"
)

// podName is NAMESPACE-WORKLOAD-N; workloads bear their stack's name already.
func podName(namespace, workload string, n int) string {
	return namespace + "-" + workload + "-" + strconv.Itoa(n)
}

// containerName is unique on the host and, unlike the bare name of the manifest, no name that a Service could have: Podman
// puts every container's name into DNS when the pod is created, ready or not.
func containerName(pod, container string) string { return pod + "-" + container }

// manifestName is the inverse of containerName.
func manifestName(pod, container string) string { return strings.TrimPrefix(container, pod+"-") }

// podVolumeName names what belongs to one pod alone. The dot keeps it apart from every claim.
func podVolumeName(pod, volume string) string { return pod + "." + volume }

// claimVolumeName is the volume of a claim; namespaces don't exist on Podman.
func claimVolumeName(namespace, claim string) string { return namespace + "-" + claim }

// networkName is the Podman network of a NetworkPolicy that describes one.
func networkName(namespace, policy string) string { return namespace + "-" + policy }

// serviceAliases are the names by which a cluster resolves a Service.
func serviceAliases(service, namespace string) []string {
	return []string{service, service + "." + namespace, service + "." + namespace + ".svc", service + "." + namespace + ".svc.cluster.local"}
}

// ownerLabels mark everything that belongs to o.
func ownerLabels(o manifests.Owner) map[string]string {
	return map[string]string{manifests.LabelOwner: o.String(), manifests.LabelManagedBy: manifests.ManagedBy}
}

// dynamicRange is the upper half of a subnet, less its broadcast address: Podman hands these out, so that it never gives
// away a fixed address, which comes from the lower half.
func dynamicRange(subnet netip.Prefix) (first, last netip.Addr) {
	base := subnet.Masked().Addr().As4()
	start := uint32(base[0])<<24 | uint32(base[1])<<16 | uint32(base[2])<<8 | uint32(base[3])
	size := uint32(1) << (32 - subnet.Bits())
	return addr4(start + size/2), addr4(start + size - 2)
}

func addr4(v uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// hardwareAddress derives a locally administered MAC from a fixed IPv4 address: peers keep the one they learnt for the
// address for half a minute, and would send to a pod that is gone.
func hardwareAddress(addr netip.Addr) string {
	b := addr.As4()
	return fmt.Sprintf("02:6d:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
}
