package manifests

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// rendered are the objects of one program.
type rendered struct {
	policies, claims, configs, services, workloads []Object
}

// inOrderOfKinds puts what others need before what needs it.
func inOrderOfKinds(parts []rendered) []Object {
	var all rendered
	for _, p := range parts {
		all.policies = append(all.policies, p.policies...)
		all.claims = append(all.claims, p.claims...)
		all.configs = append(all.configs, p.configs...)
		all.services = append(all.services, p.services...)
		all.workloads = append(all.workloads, p.workloads...)
	}
	return slices.Concat(all.policies, all.claims, all.configs, all.services, all.workloads)
}

// program renders one component.
func (r *addonRenderer) program(p program) (rendered, error) {
	if p.err != nil {
		return rendered{}, p.err
	}
	var out rendered
	annotations := map[string]string{}
	pod := corev1.PodSpec{SecurityContext: restrictedPod(), Containers: []corev1.Container{r.container(&p)}}
	for _, c := range p.configs {
		config := r.config(&p, c)
		out.configs = append(out.configs, config)
		mount(&pod, configVolume(c.use, config.Name, 0o444), c.dir, true)
		if c.stable {
			annotateConfig(annotations, config.Name, digestData(c.files))
		}
	}
	for _, s := range merged(p.secrets) {
		mount(&pod, secretVolume("secret-"+digest(s.Name), s.Name, s.Keys), secretDir(s.Name), true)
		annotateConfig(annotations, s.Name, r.facts.digest(s.Kind, s.Name))
	}
	if p.reload != nil {
		annotations[AnnotationReload] = p.reload.String()
	}
	if p.test != nil {
		annotations[AnnotationReloadTest] = jsonArray(p.test)
	}
	if p.storage != nil {
		claim := r.claim(&p)
		out.claims = append(out.claims, claim)
		mount(&pod, claimVolumeOf(claim.Name), p.dataDir, false)
		if p.user != 0 {
			pod.SecurityContext.FSGroup = ptr(p.user)
			pod.SecurityContext.FSGroupChangePolicy = ptr(corev1.FSGroupChangeOnRootMismatch)
		}
	}
	for _, path := range p.hostPaths {
		mount(&pod, corev1.Volume{Name: hostPathName(path), VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}, path, true)
	}
	mount(&pod, emptyDir(emptyDirName(r.owner.Name, p.name, "tmp"), tmpSize()), "/tmp", false)
	out.policies = r.ingress(&p)
	out.services = []Object{r.service(&p)}
	out.workloads = []Object{r.workload(&p, annotations, pod)}
	return out, nil
}

// meta of an object. It is part of the stack, so that the stack's networks are the pods' own; its owner is the addon.
func (r *addonRenderer) meta(name, component string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: r.owner.Namespace, Labels: r.labels(component)}
}

func (r *addonRenderer) labels(component string) map[string]string {
	labels := objectLabels(r.owner, component)
	labels[LabelPartOf] = r.stack.Name
	return labels
}

func (r *addonRenderer) selector(component string) map[string]string {
	return map[string]string{LabelPartOf: r.stack.Name, LabelComponent: component}
}

func (r *addonRenderer) config(p *program, c configFolder) *corev1.ConfigMap {
	name := WorkloadName(r.owner.Name, p.name) + "-" + c.use
	if !c.stable {
		name = digestedName(r.owner.Name, p.name, c.use, c.files)
	}
	return &corev1.ConfigMap{TypeMeta: typeMeta("v1", "ConfigMap"), ObjectMeta: r.meta(name, p.name), Data: c.files}
}

func (r *addonRenderer) claim(p *program) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{
		TypeMeta:   typeMeta("v1", "PersistentVolumeClaim"),
		ObjectMeta: r.meta(WorkloadName(r.owner.Name, p.name), p.name),
		Spec:       claimSpec(p.storage.size),
	}
	claim.Labels[LabelReclaim] = string(p.storage.reclaim)
	return claim
}

// ingress opens the ports that more than the host itself may get to.
func (r *addonRenderer) ingress(p *program) []Object {
	var ports []networkingv1.NetworkPolicyPort
	for _, port := range p.ports {
		if port.HostPort != 0 && !isLoopback(port.HostIP) {
			ports = append(ports, policyPort(port.Protocol, port.ContainerPort))
		}
	}
	if len(ports) == 0 {
		return nil
	}
	return []Object{&networkingv1.NetworkPolicy{
		TypeMeta:   typeMeta("networking.k8s.io/v1", "NetworkPolicy"),
		ObjectMeta: r.meta(ingressName(r.owner.Name, p.name), p.name),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: r.selector(p.name)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{Ports: ports}},
		},
	}}
}

// service is the name of the component. Of one that runs on every node, it leads to each pod.
func (r *addonRenderer) service(p *program) *corev1.Service {
	name := p.name
	if p.onEveryNode {
		name = PodsName(name)
	}
	service := &corev1.Service{
		TypeMeta: typeMeta("v1", "Service"), ObjectMeta: r.meta(name, p.name),
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Selector: r.selector(p.name), Ports: servicePorts(p.ports)},
	}
	if p.onEveryNode {
		headless(service)
	}
	return service
}

// workload is a Deployment of one pod, stopped before it is started anew: two can hold neither a port of the host nor a
// claim that is written to. Or it is a DaemonSet.
func (r *addonRenderer) workload(p *program, annotations map[string]string, pod corev1.PodSpec) Object {
	labels := r.labels(p.name)
	labels[LabelWorkload] = WorkloadName(r.owner.Name, p.name)
	for _, n := range r.joined(p) {
		labels[LabelNetworkPrefix+n] = "true"
	}
	pod.TerminationGracePeriodSeconds = ptr(cmp.Or(p.grace, terminationGracePeriodSecond))
	pod.EnableServiceLinks, pod.AutomountServiceAccountToken = ptr(false), ptr(false)
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations}, Spec: pod}
	selector := &metav1.LabelSelector{MatchLabels: r.selector(p.name)}
	meta := r.meta(WorkloadName(r.owner.Name, p.name), p.name)
	if p.onEveryNode {
		return &appsv1.DaemonSet{
			TypeMeta: typeMeta("apps/v1", "DaemonSet"), ObjectMeta: meta,
			Spec: appsv1.DaemonSetSpec{Selector: selector, RevisionHistoryLimit: ptr[int32](revisionHistoryLimit), Template: template},
		}
	}
	rollout := recreation()
	return &appsv1.Deployment{
		TypeMeta: typeMeta("apps/v1", "Deployment"), ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr[int32](1), Selector: selector, Strategy: rollout.strategy,
			ProgressDeadlineSeconds: &rollout.progressDeadline, RevisionHistoryLimit: ptr[int32](revisionHistoryLimit), Template: template,
		},
	}
}

// joined are the networks of a program: all of the stack's, or the first that has a way out, or the first.
func (r *addonRenderer) joined(p *program) []string {
	networks := r.stack.Spec.Networks
	if p.everywhere {
		return namesOf(networks)
	}
	for _, n := range networks {
		if !n.Internal {
			return []string{n.Name}
		}
	}
	return namesOf(networks[:min(1, len(networks))])
}

func namesOf(networks []v1alpha1.Network) []string {
	var out []string
	for _, n := range networks {
		out = append(out, n.Name)
	}
	return out
}

// target is where a program inside the stack is scraped.
func (r *addonRenderer) target(host string, port int) string {
	return fmt.Sprintf("%s:%d", r.owner.host(host), port)
}
