package controllers

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// stackStatus judges a pass. It is pure.
func stackStatus(stack *v1alpha1.MockupStack, seen observed, applyErr error, now time.Time) v1alpha1.MockupStackStatus {
	status := *stack.Status.DeepCopy()
	status.ObservedGeneration = stack.Generation
	if applyErr == nil {
		seen.Observation.Objects = judged(stack, seen.Observation.Objects)
		fillWorkloads(&status, stack, seen)
		status.Volumes = volumeStatuses(stack, seen.Observation)
		status.Refusals = refusals(seen.Refused)
	}
	setConditions(&status, verdictOf(seen, applyErr), stack.Generation, now)
	return status
}

// verdict is the outcome of a pass in the words of conditions.
type verdict struct {
	ready, reconciling, stalled bool
	reason, message             string
}

func verdictOf(seen observed, err error) verdict {
	if err != nil {
		return errorVerdict(err)
	}
	var waiting, broken []backend.State
	leaving := false
	for _, s := range seen.Observation.Objects {
		switch s.Phase {
		case backend.Ready, backend.Succeeded:
		case backend.Terminating:
			leaving = true
		case backend.Failed:
			broken = append(broken, s)
		default:
			waiting = append(waiting, s)
		}
	}
	switch {
	case len(broken) > 0:
		return verdict{stalled: true, reason: conditionReason(broken[0]), message: describe(seen.Owner.Name, broken)}
	case len(waiting) > 0:
		reason := v1alpha1.ReasonProgressing
		if slices.ContainsFunc(waiting, func(s backend.State) bool { return s.Phase == backend.NotReady }) {
			reason = v1alpha1.ReasonWorkloadNotReady
		}
		return verdict{reconciling: true, reason: reason, message: describe(seen.Owner.Name, waiting)}
	}
	return verdict{ready: true, reconciling: leaving, reason: v1alpha1.ReasonReady, message: "everything asked for is there and ready"}
}

func errorVerdict(err error) verdict {
	var invalid *manifests.InvalidError
	var missing *manifests.MissingError
	var taken *nameTakenError
	var unavailable *backendError
	v := verdict{message: err.Error()}
	switch {
	case errors.As(err, &invalid):
		v.stalled, v.reason = true, v1alpha1.ReasonInvalidSpec
	case errors.As(err, &missing):
		v.stalled, v.reason = true, v1alpha1.ReasonReferenceMissing
	case errors.As(err, &taken):
		v.stalled, v.reason = true, v1alpha1.ReasonNameTaken
	case errors.As(err, &unavailable):
		v.reconciling, v.reason = true, v1alpha1.ReasonBackendUnavailable
	default:
		v.reconciling, v.reason = true, v1alpha1.ReasonProgressing
	}
	return v
}

func setConditions(status *v1alpha1.MockupStackStatus, v verdict, generation int64, now time.Time) {
	set := func(kind string, is bool, reason, message string) {
		c := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now)}
		if is {
			c.Status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&status.Conditions, c)
	}
	set(v1alpha1.ConditionReady, v.ready, v.reason, v.message)
	set(v1alpha1.ConditionReconciling, v.reconciling, either(v.reconciling && !v.ready, v.reason, settledReason(v.reconciling)), either(v.reconciling && !v.ready, v.message, ""))
	set(v1alpha1.ConditionStalled, v.stalled, either(v.stalled, v.reason, "NotStalled"), either(v.stalled, v.message, ""))
}

func settledReason(pruning bool) string {
	if pruning {
		return v1alpha1.ReasonProgressing
	}
	return "Settled"
}

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
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

func volumeStatuses(stack *v1alpha1.MockupStack, seen backend.Observation) []v1alpha1.VolumeStatus {
	var out []v1alpha1.VolumeStatus
	for _, v := range stack.Spec.Volumes {
		claim := manifests.ClaimName(stack.Name, v.Name)
		status := v1alpha1.VolumeStatus{Name: v.Name, Phase: string(backend.Pending), Claim: claim}
		if s, ok := seen.Find(manifests.Ref{Kind: "PersistentVolumeClaim", Name: claim}); ok {
			status.Phase, status.Message = string(s.Phase), s.Message
		}
		out = append(out, status)
	}
	return out
}

func refusals(refused []backend.Refusal) []v1alpha1.Refusal {
	var out []v1alpha1.Refusal
	for _, r := range refused {
		out = append(out, v1alpha1.Refusal{Object: r.Ref.String(), Path: r.Path, Reason: r.Reason})
	}
	return out
}

// leftover is what still has to go before a stack may: everything but retained claims.
func leftover(seen backend.Observation) []backend.State {
	return slices.DeleteFunc(slices.Clone(seen.Objects), func(s backend.State) bool { return s.Reason == backend.ReasonRetained })
}

func removalStatus(stack *v1alpha1.MockupStack, live []backend.State, err error, now time.Time) v1alpha1.MockupStackStatus {
	status := *stack.Status.DeepCopy()
	status.ObservedGeneration = stack.Generation
	v := verdict{reconciling: true, reason: v1alpha1.ReasonDeleting}
	var names []string
	for _, s := range live {
		names = append(names, s.Ref.String())
	}
	v.message = "waiting for " + strings.Join(names, ", ") + " to go"
	if err != nil {
		v = errorVerdict(err)
	}
	setConditions(&status, v, stack.Generation, now)
	return status
}

// transition is an event to tell.
type transition struct{ kind, reason, message string }

// transitions between two statuses that a person wants to hear of.
func transitions(before, after v1alpha1.MockupStackStatus) []transition {
	var out []transition
	old, now := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionReady), meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionReady)
	if now != nil && (old == nil || old.Status != now.Status || old.Reason != now.Reason) {
		kind := corev1.EventTypeNormal
		if now.Status != metav1.ConditionTrue && now.Reason != v1alpha1.ReasonProgressing && now.Reason != v1alpha1.ReasonDeleting {
			kind = corev1.EventTypeWarning
		}
		out = append(out, transition{kind, now.Reason, now.Message})
	}
	return out
}
