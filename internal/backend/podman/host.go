package podman

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/host"
	"mockup.dev/mockup/manifests"
)

// lacks tells whether this host can't do something for containers.
func (b *Backend) lacks(topic host.Topic) bool {
	return slices.ContainsFunc(b.lacking, func(l host.Lack) bool { return l.Topic == topic })
}

// refusedByHost lists what of a set Podman would do as written, but not on this host. It is pure.
func refusedByHost(lacking []host.Lack, set manifests.Set) []backend.Refusal {
	var all []backend.Refusal
	for _, l := range lacking {
		for _, o := range set.Objects {
			for _, path := range concerned(l.Topic, o) {
				all = append(all, backend.Refusal{Ref: manifests.RefOf(o), Path: path, Reason: l.String()})
			}
		}
	}
	return all
}

// concerned are the fields of an object that need what the topic is about.
func concerned(topic host.Topic, o manifests.Object) []string {
	switch topic {
	case host.TopicMemoryLimits:
		return limited(o, corev1.ResourceMemory)
	case host.TopicCPULimits:
		return limited(o, corev1.ResourceCPU)
	case host.TopicNetworkPolicies:
		if _, ok := o.(*networkingv1.NetworkPolicy); ok {
			return []string{"spec"}
		}
	}
	return nil
}

// limited are the paths at which an object limits a resource of its containers.
func limited(o manifests.Object, resource corev1.ResourceName) []string {
	at, spec := podSpec(o)
	if spec == nil {
		return nil
	}
	var paths []string
	for list, containers := range map[string][]corev1.Container{"containers": spec.Containers, "initContainers": spec.InitContainers} {
		for _, c := range containers {
			if _, ok := c.Resources.Limits[resource]; ok {
				paths = append(paths, at+list+"["+c.Name+"].resources.limits."+string(resource))
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// podSpec of a workload, and where it stands in the object; nil for another object.
func podSpec(o manifests.Object) (at string, spec *corev1.PodSpec) {
	const template = "spec.template.spec."
	switch o := o.(type) {
	case *corev1.Pod:
		return "spec.", &o.Spec
	case *appsv1.Deployment:
		return template, &o.Spec.Template.Spec
	case *appsv1.DaemonSet:
		return template, &o.Spec.Template.Spec
	case *batchv1.Job:
		return template, &o.Spec.Template.Spec
	}
	return "", nil
}
