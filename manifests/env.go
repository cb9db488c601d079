package manifests

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// environment is what a container's variables become, and what they bring with them.
type environment struct {
	vars        []corev1.EnvVar
	from        []corev1.EnvFromSource
	configs     []Object
	annotations map[string]string
	// defined tells whether $(name) in a command or argument means a variable.
	defined func(name string) bool
}

// environment of a service. A value is meant as it is written, but Kubernetes expands $(VAR) and folds $$ in it while
// Podman does neither, so no escape means the same to both. What comes out of a ConfigMap both leave alone: the rare
// value with such a sequence goes through one.
func (r *renderer) environment(s *v1alpha1.Service) environment {
	out := environment{annotations: map[string]string{}}
	verbatim := map[string]string{}
	for _, v := range s.Env {
		if v.ValueFrom == nil && isExpanded(v.Value) {
			verbatim[v.Name] = v.Value
		}
	}
	config := digestedName(r.owner.Name, s.Name, "env", verbatim)
	if len(verbatim) > 0 {
		out.configs = []Object{r.configMap(config, s.Name, verbatim)}
	}
	for _, v := range s.Env {
		if _, ok := verbatim[v.Name]; ok {
			out.vars = append(out.vars, corev1.EnvVar{Name: v.Name, ValueFrom: fromConfigMap(config, v.Name)})
			continue
		}
		out.vars = append(out.vars, envVar(v))
	}
	for _, e := range s.EnvFrom {
		out.from = append(out.from, envFrom(e))
	}
	for _, ref := range merged(serviceReferences(s, "")) {
		annotateConfig(out.annotations, ref.Name, r.facts.digest(ref.Kind, ref.Name))
	}
	out.defined = r.variables(s)
	return out
}

func envVar(v v1alpha1.EnvVar) corev1.EnvVar {
	out := corev1.EnvVar{Name: v.Name, Value: v.Value}
	if v.ValueFrom == nil {
		return out
	}
	if k := v.ValueFrom.ConfigMapKeyRef; k != nil {
		out.ValueFrom = fromConfigMap(k.Name, k.Key)
	}
	if k := v.ValueFrom.SecretKeyRef; k != nil {
		out.ValueFrom = &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: k.Name}, Key: k.Key,
		}}
	}
	return out
}

func fromConfigMap(name, key string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key,
	}}
}

func envFrom(e v1alpha1.EnvFromSource) (out corev1.EnvFromSource) {
	if e.ConfigMapRef != nil {
		out.ConfigMapRef = &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: e.ConfigMapRef.Name}}
	}
	if e.SecretRef != nil {
		out.SecretRef = &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: e.SecretRef.Name}}
	}
	return out
}

// isExpanded tells whether Kubernetes would make something else of an environment variable's value.
func isExpanded(value string) bool {
	return strings.Contains(value, "$$") || strings.Contains(value, "$(")
}

// variables are those that the specification gives to the container. Where an envFrom was not found, anything may be.
func (r *renderer) variables(s *v1alpha1.Service) func(string) bool {
	names, all := map[string]bool{}, false
	for _, v := range s.Env {
		names[v.Name] = true
	}
	for _, ref := range serviceReferences(s, "") {
		keys, found := r.facts.keys(ref.Kind, ref.Name)
		if len(ref.Keys) > 0 {
			continue // of a variable with a name of its own
		}
		all = all || !found
		for _, k := range keys {
			names[k] = true
		}
	}
	return func(name string) bool { return all || names[name] }
}

// expandable commands mean the same to Kubernetes, which knows the specification's variables and its own, and to
// Podman, which knows the specification's and the image's: a reference to any other is escaped, so that both leave it.
func (e environment) expandable(words []string) []string {
	var out []string
	for _, w := range words {
		out = append(out, e.escapeUnknown(w))
	}
	return out
}

func (e environment) escapeUnknown(word string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(word, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, rest, closed := strings.Cut(strings.TrimPrefix(after, "("), ")")
		switch {
		case strings.HasPrefix(after, "$"): // an escape
			out.WriteString("$$")
			rest = after[1:]
		case !strings.HasPrefix(after, "(") || !closed: // no reference
			out.WriteString("$")
			rest = after
		case e.defined(name):
			out.WriteString("$(" + name + ")")
		default:
			out.WriteString("$$(" + strings.ReplaceAll(name, "$", "$$") + ")")
		}
		word = rest
	}
}
