package backendtest

import (
	"fmt"
	"maps"
	"sync/atomic"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// serial tells owners and subnets apart within a test binary, since a world may be shared by cases.
var serial atomic.Int64 //nolint:gochecknoglobals // names must differ over all cases of a process

// fixture builds the objects of one owner in the form in which package manifests renders them.
type fixture struct {
	owner   manifests.Owner
	image   string
	network string
	subnet  string
}

func newFixture(namespace, image string) fixture {
	n := serial.Add(1)
	return fixture{
		owner:   manifests.Owner{Kind: "MockupStack", Namespace: namespace, Name: fmt.Sprintf("stack%d", n)},
		image:   image,
		network: "public",
		subnet:  fmt.Sprintf("10.%d.%d", 200+n/256, n%256),
	}
}

// set of the owner with its network first.
func (f fixture) set(objects ...manifests.Object) manifests.Set {
	return manifests.Set{Owner: f.owner, Objects: append([]manifests.Object{f.policy()}, objects...)}
}

func (f fixture) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:      f.owner.Name + "-" + name,
		Namespace: f.owner.Namespace,
		Labels: map[string]string{
			manifests.LabelManagedBy: manifests.ManagedBy,
			manifests.LabelPartOf:    f.owner.Name,
			manifests.LabelName:      name,
			manifests.LabelOwner:     f.owner.String(),
		},
	}
}

// selector of the pods of a component.
func (f fixture) selector(component string) map[string]string {
	return map[string]string{manifests.LabelPartOf: f.owner.Name, manifests.LabelComponent: component}
}

func typed(version, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: kind}
}

// address of a host in the owner's subnet.
func (f fixture) address(host int) string { return fmt.Sprintf("%s.%d", f.subnet, host) }

// policy is the owner's network.
func (f fixture) policy() *networkingv1.NetworkPolicy {
	members := metav1.LabelSelector{MatchLabels: map[string]string{
		manifests.LabelNetworkPrefix + f.network: "true",
		manifests.LabelPartOf:                    f.owner.Name,
	}}
	p := &networkingv1.NetworkPolicy{
		TypeMeta:   typed("networking.k8s.io/v1", "NetworkPolicy"),
		ObjectMeta: f.meta(f.network),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: members,
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{PodSelector: &members}}}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		},
	}
	p.Annotations = map[string]string{manifests.AnnotationSubnet: f.subnet + ".0/24"}
	return p
}

func (f fixture) podTemplate(workload, component string, args []string) corev1.PodTemplateSpec {
	labels := maps.Clone(f.meta(component).Labels)
	labels[manifests.LabelComponent] = component
	labels[manifests.LabelWorkload] = workload
	labels[manifests.LabelNetworkPrefix+f.network] = "true"
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(2)),
			Containers: []corev1.Container{{
				Name:            component,
				Image:           f.image,
				ImagePullPolicy: corev1.PullIfNotPresent,
				Args:            args,
			}},
		},
	}
}

// deployment of the guest program with a readiness probe; args are those of guest.Run.
func (f fixture) deployment(component string, args ...string) *appsv1.Deployment {
	if len(args) == 0 {
		args = []string{"serve"}
	}
	meta := f.meta(component)
	d := &appsv1.Deployment{
		TypeMeta:   typed("apps/v1", "Deployment"),
		ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)),
			Selector: &metav1.LabelSelector{MatchLabels: f.selector(component)},
			Template: f.podTemplate(meta.Name, component, args),
		},
	}
	main := &d.Spec.Template.Spec.Containers[0]
	main.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: guest.Port}}
	main.ReadinessProbe = &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: "/readyz", Port: intstr.FromInt32(guest.Port),
		}},
		PeriodSeconds: 1,
	}
	return d
}

func (f fixture) job(component string, args ...string) *batchv1.Job {
	meta := f.meta(component)
	j := &batchv1.Job{
		TypeMeta:   typed("batch/v1", "Job"),
		ObjectMeta: meta,
		Spec:       batchv1.JobSpec{BackoffLimit: new(int32(0)), Template: f.podTemplate(meta.Name, component, args)},
	}
	j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	return j
}

// service by the short name under which other pods reach component.
func (f fixture) service(component string) *corev1.Service {
	s := &corev1.Service{
		TypeMeta:   typed("v1", "Service"),
		ObjectMeta: f.meta(component),
		Spec: corev1.ServiceSpec{
			Selector: f.selector(component),
			Ports:    []corev1.ServicePort{{Name: "http", Port: guest.Port, TargetPort: intstr.FromInt32(guest.Port)}},
		},
	}
	// Two owners of one namespace must not meet in a name that cases did not mean to share.
	s.Name = component + "-of-" + f.owner.Name
	return s
}

func (f fixture) claim(name, size, reclaim string) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		TypeMeta:   typed("v1", "PersistentVolumeClaim"),
		ObjectMeta: f.meta(name),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
			},
		},
	}
	c.Labels[manifests.LabelReclaim] = reclaim
	return c
}

func (f fixture) config(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{TypeMeta: typed("v1", "ConfigMap"), ObjectMeta: f.meta(name), Data: data}
}

func (f fixture) secret(name string, data map[string]string) *corev1.Secret {
	s := &corev1.Secret{TypeMeta: typed("v1", "Secret"), ObjectMeta: f.meta(name), Data: map[string][]byte{}}
	for key, value := range data {
		s.Data[key] = []byte(value)
	}
	return s
}

// foreign strips what says that the object is the owner's, as a user's own would be.
func foreign[O manifests.Object](o O) O {
	o.SetLabels(nil)
	return o
}

// mount puts the volume of source at path into the pods of d.
func mount(d *appsv1.Deployment, name, path string, source corev1.VolumeSource) {
	mountIn(&d.Spec.Template.Spec, name, path, source)
}

func mountConfig(d *appsv1.Deployment, c *corev1.ConfigMap, path string) {
	mount(d, c.Name, path, corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: c.Name},
	}})
}

func mountSecret(d *appsv1.Deployment, s *corev1.Secret, path string) {
	// Readable for everyone, since no backend but a cluster grants a group.
	mount(d, s.Name, path, corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: s.Name, DefaultMode: new(int32(0o444)),
	}})
}

func mountClaim(d *appsv1.Deployment, c *corev1.PersistentVolumeClaim, path string) {
	mount(d, c.Name, path, claimed(c))
}

// annotate sets an annotation on the pods of d.
func annotate(d *appsv1.Deployment, key, value string) {
	if d.Spec.Template.Annotations == nil {
		d.Spec.Template.Annotations = map[string]string{}
	}
	d.Spec.Template.Annotations[key] = value
}

// setEnv sets a variable of the main container of d, a change of its template.
func setEnv(d *appsv1.Deployment, name, value string) {
	main := &d.Spec.Template.Spec.Containers[0]
	for i := range main.Env {
		if main.Env[i].Name == name {
			main.Env[i].Value = value
			return
		}
	}
	main.Env = append(main.Env, corev1.EnvVar{Name: name, Value: value})
}
