package controllers

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// stackStatus judges a pass. It is pure.
func stackStatus(stack *v1alpha1.MockupStack, seen observed, applyErr error, now time.Time) v1alpha1.MockupStackStatus {
	status := *stack.Status.DeepCopy()
	status.ObservedGeneration = stack.Generation
	if applyErr == nil {
		seen.Observation.Objects = judged(seen.Observation.Objects, saidOf(stack))
		fillWorkloads(&status, stack, seen)
		status.Volumes = volumeStatuses(stack, seen)
		status.Refusals = refusals(seen.Refused)
	}
	v := verdictOf(seen, applyErr)
	if len(seen.Restoring) > 0 && !v.stalled {
		v = restoringVerdict(stack, seen.Restoring)
	}
	setConditions(&status.Conditions, v, stack.Generation, now)
	return status
}

// saidOf the workloads that nothing was changed about since.
func saidOf(stack *v1alpha1.MockupStack) map[manifests.Ref]saying {
	if stack.Status.ObservedGeneration != stack.Generation {
		return nil
	}
	before := slices.Clone(stack.Status.Services)
	if stack.Status.Gateway != nil {
		before = append(before, *stack.Status.Gateway)
	}
	said := map[manifests.Ref]saying{}
	for _, w := range before {
		if w.RestartedAt == manifests.RestartedAt(stack, w.Name) {
			said[manifests.Ref{Kind: "Deployment", Name: manifests.WorkloadName(stack.Name, w.Name)}] = saying{w.Reason, w.Message}
		}
	}
	return said
}

// fillWorkloads puts the gateway's and the services' states into the status, in the order of the specification.
func fillWorkloads(status *v1alpha1.MockupStackStatus, stack *v1alpha1.MockupStack, seen observed) {
	ready, total := 0, 0
	one := func(component string) v1alpha1.WorkloadStatus {
		w := workloadStatus(stack, component, seen)
		total++
		if w.Phase == string(backend.Ready) {
			ready++
		}
		return w
	}
	status.Gateway, status.URL = nil, ""
	if g := stack.Spec.Gateway; g != nil {
		w := one(manifests.ComponentGateway)
		w.Endpoints = gatewayEndpoints(g)
		status.Gateway, status.URL = &w, w.Endpoints[0]
	}
	status.Services = nil
	for _, s := range stack.Spec.Services {
		w := one(s.Name)
		w.Endpoints = serviceEndpoints(&s)
		status.Services = append(status.Services, w)
	}
	status.Workloads = fmt.Sprintf("%d/%d", ready, total)
}

func workloadStatus(stack *v1alpha1.MockupStack, component string, seen observed) v1alpha1.WorkloadStatus {
	ref := manifests.Ref{Kind: "Deployment", Name: manifests.WorkloadName(stack.Name, component)}
	state, ok := seen.Find(ref)
	if !ok {
		state = backend.State{Phase: backend.Pending, Reason: backend.ReasonCreating}
	}
	w := v1alpha1.WorkloadStatus{
		Name: component, Phase: string(state.Phase), Ready: fmt.Sprintf("%d/%d", state.Ready, state.Desired),
		Updated: fmt.Sprintf("%d/%d", state.Updated, state.Desired), RestartedAt: manifests.RestartedAt(stack, component),
		Restarts: state.Restarts, Image: state.Image, Reason: state.Reason, Message: state.Message,
	}
	if text := withheld(stack, component, seen.Restoring); text != "" && state.Phase != backend.Failed {
		w.Phase, w.Reason, w.Message = string(backend.NotReady), v1alpha1.ReasonRestoreInProgress, text
	}
	for _, p := range state.Pods {
		if p.Ready {
			w.Addresses = append(w.Addresses, addressList(p)...)
		}
	}
	return w
}

func addressList(p backend.Pod) []string {
	var out []string
	for network, ip := range p.Addresses {
		if network != "" {
			ip = network + "=" + ip
		}
		out = append(out, ip)
	}
	slices.Sort(out)
	return out
}

// gatewayEndpoints are URLs from the host: HTTPS first.
func gatewayEndpoints(g *v1alpha1.Gateway) []string {
	host := "localhost"
	if g.TLS.SelfSigned != nil && !slices.Contains(g.TLS.SelfSigned.DNSNames, host) {
		host = g.TLS.SelfSigned.DNSNames[0]
	}
	out := []string{portURL("https", host, g.HTTPS.HostPort, 443)}
	if g.HTTP != nil {
		out = append(out, portURL("http", host, g.HTTP.HostPort, 80))
	}
	return out
}

func portURL(scheme, host string, port, usual int32) string {
	if port == usual {
		return scheme + "://" + host + "/"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(int(port))) + "/"
}

func serviceEndpoints(s *v1alpha1.Service) []string {
	out := []string{portURL("http", s.Name, s.Port, 80)}
	if s.MetricsPort != 0 {
		out = append(out, portURL("http", s.Name, s.MetricsPort, 80)+"metrics")
	}
	return out
}

func volumeStatuses(stack *v1alpha1.MockupStack, seen observed) []v1alpha1.VolumeStatus {
	var out []v1alpha1.VolumeStatus
	for _, v := range stack.Spec.Volumes {
		claim := manifests.ClaimName(stack.Name, v.Name)
		status := v1alpha1.VolumeStatus{Name: v.Name, Phase: string(backend.Pending), Claim: claim, ReleasedFor: releasedFor(stack, v.Name, seen)}
		if s, ok := seen.Find(manifests.Ref{Kind: "PersistentVolumeClaim", Name: claim}); ok {
			status.Phase, status.Message = string(s.Phase), s.Message
		}
		out = append(out, status)
	}
	return out
}

func removalStatus(stack *v1alpha1.MockupStack, live []backend.State, err error, now time.Time) v1alpha1.MockupStackStatus {
	status := *stack.Status.DeepCopy()
	status.ObservedGeneration = stack.Generation
	setConditions(&status.Conditions, removalVerdict(live, err), stack.Generation, now)
	return status
}
