package podman

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// container judges what init containers and others have in common.
func (w *walk) container(at string, spec *corev1.PodSpec, c *corev1.Container) {
	w.secretsInEnvironment(at, c)
	w.lateVariables(at, c)
	if s := c.SecurityContext; s != nil && isSet(s.RunAsNonRoot) && !namesUser(spec, c) {
		w.refuse(at+"securityContext.runAsNonRoot", reasonNonRoot)
	}
	// Beside a limit, a share of the CPU is nothing that a scheduler would have to be asked for.
	if _, asks := c.Resources.Requests[corev1.ResourceCPU]; asks && c.Resources.Limits.Cpu().IsZero() {
		w.refuse(at+"resources.requests.cpu", "Podman keeps no share of the CPU: limits.cpu of the others has to")
	}
}

func (w *walk) secretsInEnvironment(at string, c *corev1.Container) {
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			w.refuse(at+"env["+e.Name+"]", "its value is visible to those who may inspect the container: mount the Secret as a file instead")
		}
	}
	for _, from := range c.EnvFrom {
		if from.SecretRef != nil {
			w.refuse(at+"envFrom["+from.SecretRef.Name+"]", "its values are visible to those who may inspect the container: mount the Secret as a file instead")
		}
	}
}

// lateVariables are those that Podman sets itself, after all others were expanded.
func (w *walk) lateVariables(at string, c *corev1.Container) {
	var late []string
	for _, e := range c.Env {
		for _, name := range late {
			if strings.Contains(e.Value, "$("+name+")") {
				w.refuse(at+"env["+e.Name+"].value", fmt.Sprintf("$(%s) is not expanded: Podman finds its value only when the container is made", name))
			}
		}
		from := e.ValueFrom
		if from == nil {
			continue
		}
		if from.FieldRef != nil || from.ResourceFieldRef != nil {
			late = append(late, e.Name)
		}
		if r := from.ResourceFieldRef; r != nil && r.ContainerName != "" && r.ContainerName != c.Name {
			w.refuse(at+"env["+e.Name+"].valueFrom.resourceFieldRef.containerName", "Podman knows the CPU and memory of the container itself only")
		}
	}
}

// initContainer judges one that is no sidecar.
func (w *walk) initContainer(at string, c *corev1.Container) {
	if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
		return
	}
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"livenessProbe", c.LivenessProbe != nil}, {"readinessProbe", c.ReadinessProbe != nil},
		{"startupProbe", c.StartupProbe != nil}, {"lifecycle", c.Lifecycle != nil},
	} {
		if field.set {
			w.refuse(at+field.name, "an init container has none on a cluster either, and the pod does not start")
		}
	}
	for i, p := range c.Ports {
		if p.HostPort != 0 {
			w.refuse(at+"ports["+cmp.Or(p.Name, strconv.Itoa(i))+"].hostPort", "ports of an init container are not opened on the host")
		}
	}
}

// knownToPodman judges a fieldRef.
func knownToPodman(value any) string {
	path := fmt.Sprint(value)
	if path == "metadata.name" || path == "metadata.uid" || strings.HasPrefix(path, "metadata.labels['") {
		return ""
	}
	if strings.HasPrefix(path, "metadata.annotations['") {
		return "a pod on Podman has no annotations: the value is empty"
	}
	return "Podman knows metadata.name, metadata.uid and metadata.labels here, and the pod does not start"
}

// isFileName judges the path of an item.
func isFileName(value any) string {
	if strings.Contains(fmt.Sprint(value), "/") {
		return "Podman makes no folders in a volume of this type"
	}
	return ""
}

func isSet(b *bool) bool { return b != nil && *b }
