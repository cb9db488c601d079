package manifests

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// StackFacts are what rendering a stack needs to know beside the stack itself.
type StackFacts struct {
	// Images maps an image reference to the one that is really run; what is not in it runs as it is.
	Images map[string]string
	// Secrets and ConfigMaps that the stack refers to and that exist, by name. Of a Secret, only the names of its keys,
	// its uid and its resourceVersion take part in what is rendered.
	Secrets    map[string]*corev1.Secret
	ConfigMaps map[string]*corev1.ConfigMap
	// Tracing is where traces go; nil if nobody takes them.
	Tracing *Tracing
	// Restoring are the volumes that are restored in place: no service that mounts one of them runs.
	Restoring []Restoring
}

// Reference is one place of a resource that needs a Secret or ConfigMap of its namespace.
type Reference struct {
	// Kind is Secret or ConfigMap.
	Kind string
	Name string
	// Keys that are needed; none means whatever there is.
	Keys []string
	// Field of the resource that refers to it.
	Field string
	// Generated is true for a Secret that the operator makes itself.
	Generated bool
	// Env is true where values become environment variables, which those who may inspect a container can see.
	Env bool
}

// String names what is referred to and by whom.
func (r Reference) String() string {
	var keys string
	if len(r.Keys) > 0 {
		keys = " with " + strings.Join(r.Keys, ", ")
	}
	return fmt.Sprintf("%s/%s%s (%s)", r.Kind, r.Name, keys, r.Field)
}

// StackReferences lists what a caller must gather before it renders s, in the order of the specification.
func StackReferences(s *v1alpha1.MockupStack) []Reference {
	var refs []Reference
	if g := s.Spec.Gateway; g != nil {
		refs = append(refs, gatewayReference(s.Name, g))
	}
	for i := range s.Spec.Services {
		refs = append(refs, serviceReferences(&s.Spec.Services[i], fmt.Sprintf("spec.services[%d]", i))...)
	}
	return refs
}

func gatewayReference(stack string, g *v1alpha1.Gateway) Reference {
	if g.TLS.SecretName != "" {
		return Reference{
			Kind: "Secret", Name: g.TLS.SecretName, Keys: []string{KeyCertificate, KeyPrivateKey},
			Field: "spec.gateway.tls.secretName",
		}
	}
	return Reference{
		Kind: "Secret", Name: GatewayTLSName(stack), Keys: []string{KeyCertificate, KeyPrivateKey, KeyCA},
		Field: "spec.gateway.tls.selfSigned", Generated: true,
	}
}

func serviceReferences(s *v1alpha1.Service, field string) []Reference {
	var refs []Reference
	for i, e := range s.EnvFrom {
		at := fmt.Sprintf("%s.envFrom[%d]", field, i)
		if e.SecretRef != nil {
			refs = append(refs, Reference{Kind: "Secret", Name: e.SecretRef.Name, Field: at + ".secretRef", Env: true})
		}
		if e.ConfigMapRef != nil {
			refs = append(refs, Reference{Kind: "ConfigMap", Name: e.ConfigMapRef.Name, Field: at + ".configMapRef", Env: true})
		}
	}
	for i, e := range s.Env {
		if e.ValueFrom == nil {
			continue
		}
		at := fmt.Sprintf("%s.env[%d].valueFrom", field, i)
		if k := e.ValueFrom.SecretKeyRef; k != nil {
			refs = append(refs, Reference{Kind: "Secret", Name: k.Name, Keys: []string{k.Key}, Field: at + ".secretKeyRef", Env: true})
		}
		if k := e.ValueFrom.ConfigMapKeyRef; k != nil {
			refs = append(refs, Reference{Kind: "ConfigMap", Name: k.Name, Keys: []string{k.Key}, Field: at + ".configMapKeyRef", Env: true})
		}
	}
	return refs
}

// missing is the error about those of refs that are not among the facts; nil if all are.
func (f StackFacts) missing(refs []Reference) error {
	var missing []Reference
	for _, r := range refs {
		keys, found := f.keys(r.Kind, r.Name)
		absent := slices.DeleteFunc(slices.Clone(r.Keys), func(k string) bool { return slices.Contains(keys, k) })
		if found && len(absent) == 0 {
			continue
		}
		r.Keys = nil
		if found {
			r.Keys = absent
		}
		missing = append(missing, r)
	}
	if len(missing) == 0 {
		return nil
	}
	return &MissingError{References: missing}
}

// keys of an object among the facts, and whether it is there.
func (f StackFacts) keys(kind, name string) ([]string, bool) {
	if kind == "Secret" {
		if s := f.Secrets[name]; s != nil {
			return sortedKeys(s.Data), true
		}
		return nil, false
	}
	if c := f.ConfigMaps[name]; c != nil {
		return append(sortedKeys(c.Data), sortedKeys(c.BinaryData)...), true
	}
	return nil, false
}

// digest of an object among the facts. That of a Secret says nothing of its content.
func (f StackFacts) digest(kind, name string) string {
	if kind == "Secret" {
		s := f.Secrets[name]
		if s == nil || s.UID == "" && s.ResourceVersion == "" {
			return "unversioned" // rendered without a server
		}
		return digest(string(s.UID), s.ResourceVersion)
	}
	c := f.ConfigMaps[name]
	if c == nil {
		return "missing"
	}
	binary := map[string]string{}
	for k, v := range c.BinaryData {
		binary[k] = string(v)
	}
	return digest(digestData(c.Data), digestData(binary))
}

// copies are the Secrets and ConfigMaps that refs name, by name, with nothing in them that is not needed.
func (f StackFacts) copies(refs []Reference) (secrets []*corev1.Secret, configMaps []*corev1.ConfigMap) {
	for _, need := range merged(refs) {
		if s := f.Secrets[need.Name]; need.Kind == "Secret" && s != nil {
			secrets = append(secrets, copySecret(s, need.Keys))
		}
		if c := f.ConfigMaps[need.Name]; need.Kind == "ConfigMap" && c != nil {
			configMaps = append(configMaps, copyConfigMap(c, need.Keys))
		}
	}
	return secrets, configMaps
}

// merged has one reference for each object, sorted by kind and name, with the keys that all of refs need together.
func merged(refs []Reference) []Reference {
	byRef := map[Ref]Reference{}
	for _, r := range refs {
		at := Ref{Kind: r.Kind, Name: r.Name}
		seen, ok := byRef[at]
		switch {
		case !ok:
			seen = Reference{Kind: r.Kind, Name: r.Name, Keys: slices.Clone(r.Keys)}
		case len(seen.Keys) == 0 || len(r.Keys) == 0:
			seen.Keys = nil
		default:
			seen.Keys = append(seen.Keys, r.Keys...)
		}
		byRef[at] = seen
	}
	order := slices.SortedFunc(maps.Keys(byRef), func(a, b Ref) int { return strings.Compare(a.String(), b.String()) })
	out := make([]Reference, 0, len(order))
	for _, at := range order {
		r := byRef[at]
		slices.Sort(r.Keys)
		r.Keys = slices.Compact(r.Keys)
		out = append(out, r)
	}
	return out
}

func copySecret(s *corev1.Secret, keys []string) *corev1.Secret {
	out := &corev1.Secret{TypeMeta: typeMeta("v1", "Secret"), ObjectMeta: identity(s), Type: s.Type, Data: map[string][]byte{}}
	for k, v := range s.Data {
		if needed(keys, k) {
			out.Data[k] = slices.Clone(v)
		}
	}
	return out
}

func copyConfigMap(c *corev1.ConfigMap, keys []string) *corev1.ConfigMap {
	out := &corev1.ConfigMap{TypeMeta: typeMeta("v1", "ConfigMap"), ObjectMeta: identity(c), Data: map[string]string{}}
	for k, v := range c.Data {
		if needed(keys, k) {
			out.Data[k] = v
		}
	}
	for k, v := range c.BinaryData {
		if needed(keys, k) {
			if out.BinaryData == nil {
				out.BinaryData = map[string][]byte{}
			}
			out.BinaryData[k] = slices.Clone(v)
		}
	}
	return out
}

func needed(keys []string, key string) bool { return len(keys) == 0 || slices.Contains(keys, key) }

// identity is what tells an object and its version. Annotations stay behind: kubectl keeps whole Secrets in one.
func identity(o metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: o.GetName(), Namespace: o.GetNamespace(), UID: o.GetUID(), ResourceVersion: o.GetResourceVersion(),
	}
}

func typeMeta(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
