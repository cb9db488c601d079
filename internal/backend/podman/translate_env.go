package podman

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// environment resolves a container's variables to plain values, as a kubelet would: envFrom first, with its prefix, then
// env, whose values may use $(VAR) of what stands before. kube play knows neither prefixes nor that expansion. Sources
// that Podman resolves itself (fieldRef, resourceFieldRef) stay.
func (t *translator) environment(c *corev1.Container, v *podVolumes) ([]corev1.EnvVar, error) {
	values := map[string]string{}
	for _, from := range c.EnvFrom {
		data, err := t.envSource(from, v)
		if err != nil {
			return nil, err
		}
		for k, b := range data {
			values[from.Prefix+k] = string(b)
		}
	}
	var out []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out = append(out, corev1.EnvVar{Name: name, Value: values[name]})
	}
	for _, e := range c.Env {
		resolved, err := t.envVar(e, values, v)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", e.Name, err)
		}
		out = slices.DeleteFunc(out, func(o corev1.EnvVar) bool { return o.Name == e.Name })
		out = append(out, resolved)
		if resolved.ValueFrom == nil {
			values[e.Name] = resolved.Value
		}
	}
	return out, nil
}

func (t *translator) envSource(from corev1.EnvFromSource, v *podVolumes) (map[string][]byte, error) {
	switch {
	case from.SecretRef != nil:
		return v.secretFiles(from.SecretRef.Name, nil)
	case from.ConfigMapRef != nil:
		return v.configMapFiles(from.ConfigMapRef.Name, nil)
	}
	return nil, nil
}

func (t *translator) envVar(e corev1.EnvVar, before map[string]string, v *podVolumes) (corev1.EnvVar, error) {
	if e.ValueFrom == nil {
		return corev1.EnvVar{Name: e.Name, Value: expansion.Expand(e.Value, expansion.MappingFuncFor(before))}, nil
	}
	var data map[string][]byte
	var key string
	var err error
	switch {
	case e.ValueFrom.SecretKeyRef != nil:
		key = e.ValueFrom.SecretKeyRef.Key
		data, err = v.secretFiles(e.ValueFrom.SecretKeyRef.Name, nil)
	case e.ValueFrom.ConfigMapKeyRef != nil:
		key = e.ValueFrom.ConfigMapKeyRef.Key
		data, err = v.configMapFiles(e.ValueFrom.ConfigMapKeyRef.Name, nil)
	default:
		return e, nil
	}
	if err != nil {
		return e, err
	}
	b, ok := data[key]
	if !ok {
		return e, fmt.Errorf("there is no key %q", key)
	}
	return corev1.EnvVar{Name: e.Name, Value: string(b)}, nil
}
