package manifests

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"mockup.dev/mockup/api/v1alpha1"
)

func (r *renderer) claims() []Object {
	var out []Object
	for i := range r.stack.Spec.Volumes {
		out = append(out, r.claim(&r.stack.Spec.Volumes[i]))
	}
	return out
}

// claim asks for a volume. That of an adopted one names it in an annotation: the name may be no Kubernetes name, as
// mime_storage is not, and the backend puts it in the claim's place.
func (r *renderer) claim(v *v1alpha1.Volume) *corev1.PersistentVolumeClaim {
	size, reclaim := v.Size, v.ReclaimPolicy
	if reclaim == "" {
		reclaim = v1alpha1.ReclaimRetain
	}
	claim := &corev1.PersistentVolumeClaim{
		TypeMeta:   typeMeta("v1", "PersistentVolumeClaim"),
		ObjectMeta: r.meta(ClaimName(r.owner.Name, v.Name), v.Name),
	}
	if v.Existing != "" {
		claim.Annotations = map[string]string{AnnotationExisting: v.Existing}
		reclaim = v1alpha1.ReclaimRetain
	}
	if size == nil {
		size = nominalClaimSize()
	}
	claim.Labels[LabelReclaim] = string(reclaim)
	claim.Spec = claimSpec(*size)
	return claim
}

func claimSpec(size resource.Quantity) corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
	}
}

// claimVolume is the volume of a pod that is a claim of the stack.
func (r *renderer) claimVolume(volume string) corev1.Volume {
	return claimVolumeOf(ClaimName(r.owner.Name, volume))
}

// claimVolumeOf a claim bears the claim's name, which nothing else that the pod mounts can have.
func claimVolumeOf(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
	}}
}

// emptyDir is on disk, never in memory: Podman gives one in memory to root alone.
func emptyDir(name string, size *resource.Quantity) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: size},
	}}
}

// configVolume mounts a whole ConfigMap under its own name, as Podman does, which merges what is mounted in parts. Mode
// is for all files, since Podman ignores modes of items.
func configVolume(name, configMap string, mode int32) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: configMap},
		DefaultMode:          &mode,
	}}}
}

// secretVolume mounts keys of a Secret, readable for the container's user: Podman knows no fsGroup, and the files are
// root's.
func secretVolume(name, secret string, keys []string) corev1.Volume {
	mode := int32(0o444)
	source := &corev1.SecretVolumeSource{SecretName: secret, DefaultMode: &mode}
	for _, k := range keys {
		source.Items = append(source.Items, corev1.KeyToPath{Key: k, Path: k})
	}
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: source}}
}
