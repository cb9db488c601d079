package manifests

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"mockup.dev/mockup/api/v1alpha1"
)

func (v *validator) service(field string, s *v1alpha1.Service) {
	stack := v.stack.Name
	v.serviceName(field+".name", s.Name)
	if s.Name == ComponentGateway || s.Name == ServiceName(stack, ComponentGateway) {
		v.reject(field+".name", s.Name, "is the gateway's name")
	}
	v.unique("service name", s.Name, field+".name")
	v.length(field+".name", s.Name, emptyDirName(stack, s.Name, "tmp"))
	v.podmanVolume(emptyDirName(stack, s.Name, "tmp"), field+".name")
	v.image(field+".image", s.Image)
	v.port(field+".port", s.Port)
	if s.MetricsPort != 0 {
		v.port(field+".metricsPort", s.MetricsPort)
		v.length(field+".name", s.Name, PodsName(s.Name))
		v.unique("service name", PodsName(s.Name), field+".name")
	}
	if replicas(s) < 0 {
		v.reject(field+".replicas", fmt.Sprint(replicas(s)), "is negative")
	}
	v.attachments(field+".networks", s.Networks, replicas(s))
	v.mounts(field+".volumeMounts", s.VolumeMounts)
	v.environment(field, s)
	v.resources(field+".resources", s.Resources)
	v.rollout(field, s)
	v.stop(field, s)
	v.services[s.Name] = true
}

// image is a reference, or at least nothing that would be two words.
func (v *validator) image(field, image string) {
	if image == "" || strings.ContainsFunc(image, func(r rune) bool { return r <= ' ' || r > '~' }) {
		v.reject(field, image, "is no image reference")
	}
}

func (v *validator) port(field string, port int32) {
	if port < 1 || port > 65535 {
		v.reject(field, fmt.Sprint(port), "is no port")
	}
}

func (v *validator) mounts(field string, mounts []v1alpha1.VolumeMount) {
	var seen []string
	for i, m := range mounts {
		at := fmt.Sprintf("%s[%d]", field, i)
		if !v.volumes[m.Volume] {
			v.reject(at+".volume", m.Volume, "is no volume of the stack")
		}
		v.mountPath(at+".mountPath", m.MountPath)
		if slices.Contains(seen, path.Clean(m.MountPath)) {
			v.reject(at+".mountPath", m.MountPath, "is mounted twice")
		}
		seen = append(seen, path.Clean(m.MountPath))
		if m.SubPath != "" && (!isLocal(m.SubPath) || strings.ContainsAny(m.SubPath, ":\x00")) {
			v.reject(at+".subPath", m.SubPath, "is no path inside the volume")
		}
	}
}

// isLocal tells whether p stays below where it starts.
func isLocal(p string) bool {
	return !path.IsAbs(p) && !slices.Contains(strings.Split(p, "/"), "..")
}

func (v *validator) environment(field string, s *v1alpha1.Service) {
	seen := map[string]bool{}
	for i, e := range s.Env {
		at := fmt.Sprintf("%s.env[%d]", field, i)
		if reasons := validation.IsCIdentifier(e.Name); len(reasons) > 0 {
			v.reject(at+".name", e.Name, "is no name of an environment variable")
		}
		if seen[e.Name] {
			v.reject(at+".name", e.Name, "is set twice")
		}
		seen[e.Name] = true
		if e.ValueFrom != nil {
			if e.Value != "" {
				v.reject(at, e.Name, "has both value and valueFrom")
			}
			v.exactlyOne(at+".valueFrom", e.ValueFrom.SecretKeyRef != nil, e.ValueFrom.ConfigMapKeyRef != nil)
		}
	}
	for i, e := range s.EnvFrom {
		v.exactlyOne(fmt.Sprintf("%s.envFrom[%d]", field, i), e.SecretRef != nil, e.ConfigMapRef != nil)
	}
	for _, r := range serviceReferences(s, field) {
		v.reference(r)
	}
}

func (v *validator) exactlyOne(field string, secret, configMap bool) {
	if secret == configMap {
		v.reject(field, "", "needs exactly one of a Secret and a ConfigMap")
	}
}

func (v *validator) reference(r Reference) {
	if reasons := validation.IsDNS1123Subdomain(r.Name); len(reasons) > 0 {
		v.reject(r.Field, r.Name, reasons[0])
	}
	for _, k := range r.Keys {
		if reasons := validation.IsConfigMapKey(k); len(reasons) > 0 {
			v.reject(r.Field, k, reasons[0])
		}
	}
}

func (v *validator) resources(field string, r *v1alpha1.Resources) {
	if r == nil {
		return
	}
	core := r.ToCore()
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, hasRequest := core.Requests[name]
		limit, hasLimit := core.Limits[name]
		if hasRequest {
			v.positive(field+".requests."+string(name), &request)
		}
		if hasLimit {
			v.positive(field+".limits."+string(name), &limit)
		}
		if hasRequest && hasLimit && request.Cmp(limit) > 0 {
			v.reject(field+".requests."+string(name), request.String(), "is more than the limit, "+limit.String())
		}
	}
}
