package controllers

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// addonStatus judges a pass. It is pure. What a pass could not look at, or nobody answered, stays as it was seen the last time.
func addonStatus(addon *v1alpha1.ObservabilityAddon, seen observed, health addonHealth, applyErr error, now time.Time) v1alpha1.ObservabilityAddonStatus {
	status := *addon.Status.DeepCopy()
	status.ObservedGeneration = addon.Generation
	switch {
	case applyErr == nil:
		seen.Observation.Objects = judged(seen.Observation.Objects, saidOfComponents(addon, seen.Set))
		status.Components, status.Ready = componentStatuses(addon, seen, health.versions)
		status.Refusals = refusals(seen.Refused)
		status.Targets = health.scraped()
	case stackIsGone(applyErr): // and what watched it, too
		status.Components, status.Refusals, status.Targets = nil, nil, ""
		status.Ready = fmt.Sprintf("0/%d", len(manifests.ObservabilityComponents(addon)))
	case health.targets > 0:
		status.Targets = health.scraped()
	}
	status.LastLogTime = cmp.Or(stamp(health.lastLog), status.LastLogTime)
	status.LastTraceTime = cmp.Or(stamp(health.lastTrace), status.LastTraceTime)
	v := verdictOf(seen, applyErr).withAccounts(addon, health.accounts).withTargets(health)
	setConditions(&status.Conditions, v, addon.Generation, now)
	return status
}

// wasLookedAt tells whether a pass that ended so knows which programs there are. Else they run on as they are, since nothing that
// can't be rendered or applied changes them, and are asked on.
func wasLookedAt(applyErr error) bool { return applyErr == nil || stackIsGone(applyErr) }

// withTargets is the verdict on an addon that is ready, with what it nevertheless does not see.
func (v verdict) withTargets(h addonHealth) verdict {
	if v.ready && len(h.down) > 0 {
		v.message += fmt.Sprintf(", but %d of %d targets can't be scraped: %s", len(h.down), h.targets, listed(h.down))
	}
	return v
}

// listed are the first of many.
func listed(all []string) string {
	const enough = 5
	if more := len(all) - enough; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(all[:enough], "; "), more)
	}
	return strings.Join(all, "; ")
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
	n, before := 0, map[string]v1alpha1.ComponentStatus{}
	for _, c := range addon.Status.Components {
		before[c.Name] = c
	}
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
		version := versions[name]
		if version == "" && before[name].Image == state.Image {
			version = before[name].Version
		}
		all = append(all, v1alpha1.ComponentStatus{
			Name: name, Phase: string(state.Phase), Ready: fmt.Sprintf("%d/%d", state.Ready, state.Desired),
			Image: state.Image, Version: version, Restarts: state.Restarts, Endpoint: endpoint(seen.Set, template), Reason: state.Reason, Message: state.Message,
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

// endpoint of a program's first port: on the host where it is exposed, else by the name of its Service.
func endpoint(set manifests.Set, template *corev1.PodTemplateSpec) string {
	c := template.Spec.Containers[0]
	if len(c.Ports) == 0 {
		return ""
	}
	port := c.Ports[0]
	if port.HostPort == 0 {
		return inside(set, template.Labels, port.ContainerPort)
	}
	host := port.HostIP
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(int(port.HostPort)))
}

// inside the stack, a port is reached by a Service that leads to it.
func inside(set manifests.Set, pod map[string]string, port int32) string {
	for _, o := range set.Objects {
		s, ok := o.(*corev1.Service)
		if !ok || len(s.Spec.Selector) == 0 || !labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(pod)) {
			continue
		}
		for _, p := range s.Spec.Ports {
			if p.Port == port {
				return "http://" + net.JoinHostPort(s.Name, strconv.Itoa(int(port)))
			}
		}
	}
	return ""
}
