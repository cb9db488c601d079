package controllers

import (
	"fmt"
	"net"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// addonStatus judges a pass. It is pure.
func addonStatus(addon *v1alpha1.ObservabilityAddon, seen observed, health addonHealth, applyErr error, now time.Time) v1alpha1.ObservabilityAddonStatus {
	status := *addon.Status.DeepCopy()
	status.ObservedGeneration = addon.Generation
	if applyErr == nil {
		seen.Observation.Objects = judged(seen.Observation.Objects, saidOfComponents(addon, seen.Set))
		status.Components, status.Ready = componentStatuses(addon, seen, health.versions)
		status.Refusals = refusals(seen.Refused)
	}
	status.Targets, status.LastLogTime, status.LastTraceTime = "", stamp(health.lastLog), stamp(health.lastTrace)
	if health.targets > 0 {
		status.Targets = fmt.Sprintf("%d/%d", health.up, health.targets)
	}
	setConditions(&status.Conditions, verdictOf(seen, applyErr).withAccounts(addon, health.accounts), addon.Generation, now)
	return status
}

// stamp is a time as status has it, none for the zero time.
func stamp(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	at := metav1.NewTime(t.Truncate(time.Second))
	return &at
}

// saidOfComponents of the addon that nothing was changed about since.
func saidOfComponents(addon *v1alpha1.ObservabilityAddon, set manifests.Set) map[manifests.Ref]saying {
	if addon.Status.ObservedGeneration != addon.Generation {
		return nil
	}
	said := map[manifests.Ref]saying{}
	for _, c := range addon.Status.Components {
		if ref, _, ok := programIn(set, c.Name); ok {
			said[ref] = saying{c.Reason, c.Message}
		}
	}
	return said
}

// componentStatuses are in the order of rendering, and ready counts those that are.
func componentStatuses(addon *v1alpha1.ObservabilityAddon, seen observed, versions map[string]string) (all []v1alpha1.ComponentStatus, ready string) {
	n := 0
	for _, name := range manifests.ObservabilityComponents(addon) {
		ref, template, ok := programIn(seen.Set, name)
		if !ok {
			continue
		}
		state, found := seen.Find(ref)
		if !found {
			state = backend.State{Phase: backend.Pending, Reason: backend.ReasonCreating}
		}
		if state.Phase == backend.Ready {
			n++
		}
		all = append(all, v1alpha1.ComponentStatus{
			Name: name, Phase: string(state.Phase), Ready: fmt.Sprintf("%d/%d", state.Ready, state.Desired),
			Image: state.Image, Version: versions[name], Restarts: state.Restarts, Endpoint: endpoint(template), Reason: state.Reason, Message: state.Message,
		})
	}
	return all, fmt.Sprintf("%d/%d", n, len(all))
}

// programIn finds the workload of a component in the addon's set.
func programIn(set manifests.Set, component string) (manifests.Ref, *corev1.PodTemplateSpec, bool) {
	for _, o := range set.Objects {
		if o.GetLabels()[manifests.LabelComponent] != component {
			continue
		}
		switch o := o.(type) {
		case *appsv1.Deployment:
			return manifests.RefOf(o), &o.Spec.Template, true
		case *appsv1.DaemonSet:
			return manifests.RefOf(o), &o.Spec.Template, true
		}
	}
	return manifests.Ref{}, nil, false
}

// endpoint of a program's first port: on the host where it is exposed, else by its Service's name.
func endpoint(template *corev1.PodTemplateSpec) string {
	c := template.Spec.Containers[0]
	if len(c.Ports) == 0 {
		return ""
	}
	port := c.Ports[0]
	if port.HostPort == 0 {
		return "http://" + net.JoinHostPort(c.Name, strconv.Itoa(int(port.ContainerPort)))
	}
	host := port.HostIP
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(int(port.HostPort)))
}
