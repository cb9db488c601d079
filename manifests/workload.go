package manifests

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/api/v1alpha1"
)

// workload is what the gateway and the services have in common and each has its own way.
type workload struct {
	component   string
	replicas    int32
	rollout     rollout
	networks    []v1alpha1.NetworkAttachment
	annotations map[string]string
	grace       int64
	pod         corev1.PodSpec
}

// deployment of a workload, whose pods join its networks by label and have its fixed addresses by annotation.
func (r *renderer) deployment(w workload) *appsv1.Deployment {
	labels, annotations := podLabels(r.owner, w.component), w.annotations
	for _, n := range w.networks {
		labels[LabelNetworkPrefix+n.Name] = "true"
		if n.IP != "" {
			annotations[AnnotationIPPrefix+n.Name] = n.IP
		}
	}
	if at := RestartedAt(r.stack, w.component); at != "" {
		annotations[AnnotationRestartedAt] = at
	}
	w.pod.TerminationGracePeriodSeconds = &w.grace
	w.pod.EnableServiceLinks = ptr(false)
	w.pod.AutomountServiceAccountToken = ptr(false)
	return &appsv1.Deployment{
		TypeMeta:   typeMeta("apps/v1", "Deployment"),
		ObjectMeta: r.meta(WorkloadName(r.owner.Name, w.component), w.component),
		Spec: appsv1.DeploymentSpec{
			Replicas:                &w.replicas,
			Selector:                &metav1.LabelSelector{MatchLabels: selectorLabels(r.owner, w.component)},
			Strategy:                w.rollout.strategy,
			MinReadySeconds:         w.rollout.minReady,
			ProgressDeadlineSeconds: &w.rollout.progressDeadline,
			RevisionHistoryLimit:    ptr[int32](revisionHistoryLimit),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations},
				Spec:       w.pod,
			},
		},
	}
}

// clusterService is the name under which the pods of component are reached. Its ports are those of the container: on
// Podman the name leads to the pods themselves.
func (r *renderer) clusterService(component string, ports []corev1.ContainerPort) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   typeMeta("v1", "Service"),
		ObjectMeta: r.meta(ServiceName(r.owner.Name, component), component),
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, Selector: selectorLabels(r.owner, component), Ports: servicePorts(ports),
		},
	}
}

// podsService is the name that leads to every pod of a service, ready or not, for those who read its metrics.
func (r *renderer) podsService(s *v1alpha1.Service) *corev1.Service {
	service := r.clusterService(s.Name, []corev1.ContainerPort{containerPort("metrics", s.MetricsPort)})
	service.Name = PodsName(s.Name)
	headless(service)
	return service
}

func servicePorts(ports []corev1.ContainerPort) []corev1.ServicePort {
	var out []corev1.ServicePort
	for _, p := range ports {
		out = append(out, corev1.ServicePort{
			Name: p.Name, Port: p.ContainerPort, TargetPort: intstr.FromInt32(p.ContainerPort), Protocol: p.Protocol,
		})
	}
	return out
}

// headless makes of a Service a name that leads to every pod, ready or not.
func headless(s *corev1.Service) {
	s.Spec.ClusterIP = corev1.ClusterIPNone
	s.Spec.PublishNotReadyAddresses = true
}

func containerPort(name string, port int32) corev1.ContainerPort {
	return corev1.ContainerPort{Name: name, ContainerPort: port, Protocol: corev1.ProtocolTCP}
}

// annotateConfig writes down the digest of what a pod uses under a stable name, so that a change of it is a change of
// the template. A Secret and a ConfigMap of the same name share the annotation.
func annotateConfig(annotations map[string]string, name, digested string) {
	key := ConfigAnnotation(name)
	if seen, ok := annotations[key]; ok && seen != digested {
		digested = digest(seen, digested)
	}
	annotations[key] = digested
}

// restrictedContainer may do nothing but run.
func restrictedContainer() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr(false),
		ReadOnlyRootFilesystem:   ptr(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func restrictedPod() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
}

func ptr[T any](v T) *T { return &v }
