package podman

import (
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"mockup.dev/mockup/manifests"
)

// templatePath and podPath are where a workload has its pod.
const (
	templatePath = "spec.template."
	podPath      = templatePath + "spec."
)

// related judges the fields whose meaning depends on others.
func (w *walk) related(o manifests.Object) {
	switch o := o.(type) {
	case *appsv1.Deployment:
		w.template(&o.Spec.Template)
	case *appsv1.DaemonSet:
		w.template(&o.Spec.Template)
	case *batchv1.Job:
		w.template(&o.Spec.Template)
	case *corev1.Service:
		if _, node := nodePortOf(o); len(o.Spec.Selector) == 0 && !node {
			w.refuse("spec.selector", "a name leads to the pods that it selects, and to nothing without a selector")
		}
	case *corev1.PersistentVolumeClaim:
		w.claimSize(o)
	case *networkingv1.NetworkPolicy:
		if p, err := newPolicies([]manifests.Object{o}); err == nil { // translate tells what can't be read
			w.out = append(w.out, p.refused...)
		}
	}
}

// claimSize is not enforced; that of an adopted volume is nobody's wish, since a claim must have one.
func (w *walk) claimSize(o *corev1.PersistentVolumeClaim) {
	if _, ok := o.Spec.Resources.Requests[corev1.ResourceStorage]; ok && o.Annotations[manifests.AnnotationExisting] == "" {
		w.refuse("spec.resources.requests.storage", "a Podman volume has no size limit: the size is not enforced")
	}
}

// template judges a pod.
func (w *walk) template(t *corev1.PodTemplateSpec) {
	w.podmanAnnotations(t.Annotations)
	w.hostNetwork(t)
	w.account(&t.Spec)
	w.fsGroup(&t.Spec)
	w.podNonRoot(&t.Spec)
	for i := range t.Spec.Volumes {
		w.volume(&t.Spec, &t.Spec.Volumes[i])
	}
	for i := range t.Spec.InitContainers {
		c := &t.Spec.InitContainers[i]
		at := podPath + "initContainers[" + c.Name + "]."
		w.container(at, &t.Spec, c)
		w.initContainer(at, c)
	}
	for i := range t.Spec.Containers {
		c := &t.Spec.Containers[i]
		w.container(podPath+"containers["+c.Name+"].", &t.Spec, c)
	}
}

// volume judges one with those who mount it.
func (w *walk) volume(spec *corev1.PodSpec, v *corev1.Volume) {
	at := podPath + "volumes[" + v.Name + "]"
	if v.VolumeSource == (corev1.VolumeSource{}) {
		w.refuse(at, "it has no type")
	}
	claim := v.PersistentVolumeClaim
	if claim == nil || !claim.ReadOnly {
		return
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		writes := func(m corev1.VolumeMount) bool { return m.Name == v.Name && !m.ReadOnly }
		if slices.ContainsFunc(c.VolumeMounts, writes) {
			w.refuse(at+".persistentVolumeClaim.readOnly", "it is not enforced here: volumeMounts has readOnly")
			return
		}
	}
}

// podmanAnnotations are for kube play by hand: a cluster does nothing with them, and so nothing is done here.
func (w *walk) podmanAnnotations(annotations map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if strings.HasPrefix(key, "io.podman.") {
			w.refuse(templatePath+"metadata.annotations["+key+"]", "annotations of Podman's own are not passed on: they mean nothing on a cluster")
		}
	}
}

// hostNetwork is honoured for a pod that is on no network of the set.
func (w *walk) hostNetwork(t *corev1.PodTemplateSpec) {
	if !t.Spec.HostNetwork {
		return
	}
	for label := range t.Labels {
		if strings.HasPrefix(label, manifests.LabelNetworkPrefix) {
			w.refuse(podPath+"hostNetwork", "a pod that joins networks is not on the host's as well")
			return
		}
	}
}

// account is missed by those alone who would be given a token.
func (w *walk) account(spec *corev1.PodSpec) {
	if m := spec.AutomountServiceAccountToken; m != nil && !*m {
		return
	}
	if name := spec.ServiceAccountName; name != "" && name != "default" {
		w.refuse(podPath+"serviceAccountName", reasonToken)
	}
	if name := spec.DeprecatedServiceAccount; name != "" && name != "default" {
		w.refuse(podPath+"serviceAccount", reasonToken)
	}
}

// fsGroup is there so that a pod may write to its volumes. On Podman it may without: a new volume belongs to the user of
// the container that mounts it first. That is not enough where several share one, or where files are for their owner alone.
func (w *walk) fsGroup(spec *corev1.PodSpec) {
	if spec.SecurityContext == nil || spec.SecurityContext.FSGroup == nil {
		return
	}
	for _, v := range spec.Volumes {
		shared := sharers(spec, v.Name) > 1 && (v.EmptyDir != nil || v.PersistentVolumeClaim != nil)
		if shared || ownersAlone(v.ConfigMap, v.Secret) {
			w.refuse(podPath+"securityContext.fsGroup", "Podman gives files to no group: a new volume belongs to the user of the container that mounts it first")
			return
		}
	}
}

// sharers counts the containers that mount a volume.
func sharers(spec *corev1.PodSpec, volume string) int {
	n := 0
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume }) {
			n++
		}
	}
	return n
}

// ownersAlone tells whether others than their owner, root, may not read the files.
func ownersAlone(c *corev1.ConfigMapVolumeSource, s *corev1.SecretVolumeSource) bool {
	const others = 0o004
	var mode *int32
	switch {
	case c != nil:
		mode = c.DefaultMode
	case s != nil:
		mode = s.DefaultMode
	}
	return mode != nil && *mode&others == 0
}

const reasonNonRoot = "Podman does not check the image's user: runAsUser must be set, to another than 0"

// podNonRoot is kept where every container runs as another user than root by the manifest itself.
func (w *walk) podNonRoot(spec *corev1.PodSpec) {
	if spec.SecurityContext == nil || !isSet(spec.SecurityContext.RunAsNonRoot) {
		return
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		own := c.SecurityContext != nil && c.SecurityContext.RunAsNonRoot != nil
		if !own && !namesUser(spec, &c) {
			w.refuse(podPath+"securityContext.runAsNonRoot", reasonNonRoot)
			return
		}
	}
}

// namesUser tells whether a container runs as another user than root whatever its image says.
func namesUser(spec *corev1.PodSpec, c *corev1.Container) bool {
	var user *int64
	if spec.SecurityContext != nil {
		user = spec.SecurityContext.RunAsUser
	}
	if c.SecurityContext != nil && c.SecurityContext.RunAsUser != nil {
		user = c.SecurityContext.RunAsUser
	}
	return user != nil && *user != 0
}
