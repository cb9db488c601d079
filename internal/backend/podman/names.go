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
	// labelPreStop on a pod are its hooks, as preStopLabel writes them.
	labelPreStop = "mockup.dev/pre-stop"
	// labelHostPorts on a pod are its host ports, as hostPortsOf writes them.
	labelHostPorts = "mockup.dev/host-ports"
	// labelProbes on a pod are the probes of its containers, as noteProbes writes them.
	labelProbes = "mockup.dev/probes"
	// labelTestOf on a pod that tries out changed configuration is the owner that it does so for. It bears no
	// manifests.LabelOwner: see playedTest.
	labelTestOf = "mockup.dev/config-test-of"
	// labelLoaded on an empty volume is the digest of the configuration that the program of its pod (labelPod) runs with.
	labelLoaded = "mockup.dev/loaded"
	// labelResult on an empty volume is how a Job ended: see result.
	labelResult = "mockup.dev/job-result"
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
// The dot, which no container of a manifest has, keeps pod a-0 with container b-0-c and pod a-0-b-0 with container c apart.
func containerName(pod, container string) string { return pod + "." + container }

// container is the name by which Podman knows a container of a pod.
func (p place) container(pod, container string) string {
	if p.prefixes {
		return pod + "-" + containerName(pod, container)
	}
	return containerName(pod, container)
}

// before tells whether a version of Podman is older than another. One that can't be read is not.
func before(version string, major, minor int) bool {
	var ma, mi int
	if n, _ := fmt.Sscanf(version, "%d.%d", &ma, &mi); n < 2 {
		return false
	}
	return ma < major || ma == major && mi < minor
}

// manifestName is the inverse of containerName. Before 5.7, Podman puts the pod's name before that all the same (it does not
// know NoPodPrefix).
func manifestName(pod, container string) string {
	return strings.TrimPrefix(strings.TrimPrefix(container, pod+"-"), pod+".")
}

// podVolumeName names what belongs to one pod alone. The dot keeps it apart from every claim.
func podVolumeName(pod, volume string) string { return pod + "." + volume }

// claimVolumeName is the volume of a claim; namespaces don't exist on Podman.
func claimVolumeName(namespace, claim string) string { return namespace + "-" + claim }

// networkName is the Podman network of a NetworkPolicy that describes one.
func networkName(namespace, policy string) string { return namespace + "-" + policy }

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

// gatewayOf a subnet is the node's own address there: Podman gives the bridge the first.
func gatewayOf(subnet netip.Prefix) netip.Addr { return subnet.Masked().Addr().Next() }
