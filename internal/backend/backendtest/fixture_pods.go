package backendtest

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// mountIn puts the volume of source at path into the main container of a pod.
func mountIn(spec *corev1.PodSpec, name, path string, source corev1.VolumeSource) {
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts,
		corev1.VolumeMount{Name: name, MountPath: path})
}

// mountScratch gives the pods of d a volume of their own.
func mountScratch(d *appsv1.Deployment, path string) {
	mount(d, "scratch", path, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
}

// claimed is the source of a claim's volume.
func claimed(c *corev1.PersistentVolumeClaim) corev1.VolumeSource {
	return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c.Name}}
}

// log is a claim that many pods write to, and a workload that reads it at /log, whatever becomes of them.
func (f fixture) log() (*corev1.PersistentVolumeClaim, *appsv1.Deployment) {
	claim, reader := f.claim("log", "1Gi", "Delete"), f.deployment("reader")
	claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	mountClaim(reader, claim, "/log")
	reader.Spec.Template.Spec.Containers[0].VolumeMounts[0].ReadOnly = true
	return claim, reader
}

// addInit adds an init container that runs the guest program with args and sees what the main container sees.
func (f fixture) addInit(d *appsv1.Deployment, name string, args ...string) *corev1.Container {
	spec := &d.Spec.Template.Spec
	spec.InitContainers = append(spec.InitContainers, corev1.Container{
		Name: name, Image: f.image, ImagePullPolicy: corev1.PullIfNotPresent, Args: args, VolumeMounts: spec.Containers[0].VolumeMounts,
	})
	return &spec.InitContainers[len(spec.InitContainers)-1]
}

// rolling sets how many pods more, or fewer available ones, than wanted a roll-out may have.
func rolling(d *appsv1.Deployment, surge, unavailable intstr.IntOrString) {
	d.Spec.Strategy = appsv1.DeploymentStrategy{
		Type:          appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable},
	}
}

// unreadyFile makes a pod unready for as long as it is there.
const unreadyFile = "/scratch/unready"

// fickle is a deployment whose pods can be made unready by a file, and are seen to be so with their next probe.
func (f fixture) fickle(component string, args ...string) *appsv1.Deployment {
	d := f.deployment(component, append([]string{"serve", "-unready-file", unreadyFile}, args...)...)
	mountScratch(d, "/scratch")
	d.Spec.Template.Spec.Containers[0].ReadinessProbe.FailureThreshold = 1
	return d
}

// reloads has d take up changes of c, mounted at /config, without a new pod: it refuses those that hold the word "broken",
// and copies the others to /scratch. The container names its program, as one with such commands does: where it does not, a
// backend may run them by the entrypoint of the image.
func reloads(d *appsv1.Deployment, c *corev1.ConfigMap) {
	mountConfig(d, c, "/config")
	mountScratch(d, "/scratch")
	d.Spec.Template.Spec.Containers[0].Command = []string{guest.Path}
	annotate(d, manifests.AnnotationReloadTest, `["`+guest.Path+`","reject","/config/message","broken"]`)
	annotate(d, manifests.AnnotationReload, `["`+guest.Path+`","copy","/config/message","/scratch/loaded"]`)
	digested(d, c)
}

// told has the guest program of d take up changes of c, mounted at /config, when it is told in that way. It says no to those
// that hold the word "broken", and copies the others to /scratch.
func told(d *appsv1.Deployment, c *corev1.ConfigMap, how manifests.Reload) {
	mountConfig(d, c, "/config")
	mountScratch(d, "/scratch")
	d.Spec.Template.Spec.Containers[0].Args = []string{"serve", "-reload-from", "/config/message", "-reload-to", "/scratch/loaded"}
	annotate(d, manifests.AnnotationReload, how.String())
	digested(d, c)
}

// digested notes the content of c in the template of d, as rendering does.
func digested(d *appsv1.Deployment, c *corev1.ConfigMap) {
	digest := ""
	for _, key := range []string{"message", "other", "third"} {
		digest += key + "=" + c.Data[key] + ";"
	}
	annotate(d, manifests.ConfigAnnotation(c.Name), digest)
}

// limit of memory that is enough for the guest program.
func limit() *resource.Quantity {
	q := resource.MustParse("64Mi")
	return &q
}
