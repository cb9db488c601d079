package manifests

import (
	"strings"
	"testing"

	"mockup.dev/mockup/api/v1alpha1"
)

// TestExpansion renders a word and expands it as Kubernetes does and as Podman does: both must come to the same, which is
// what Kubernetes makes of the word as written.
func TestExpansion(t *testing.T) {
	env := environment{defined: func(name string) bool { return name == "A" || name == "B" }}
	kubernetes := map[string]string{"A": "1", "B": "$(A)", "KUBERNETES_SERVICE_HOST": "10.96.0.1"}
	podman := map[string]string{"A": "1", "B": "$(A)", "PATH": "/bin"}
	specified := map[string]string{"A": "1", "B": "$(A)"}
	for _, word := range []string{
		"", "plain", "$(A)", "x$(A)y$(B)z", "$(PATH)", "$(KUBERNETES_SERVICE_HOST)", "$$(A)", "$$$(A)", "$$$$(PATH)", "$", "$$", "5$", "$A", "$(", "$(A",
		"$()", "$(A$(B)", "$(PATH$(A))", "$(X$$(A))$(B)", "$$$(PATH)$(A)", "a$(A)$", "$x$(A)", "$(A)$(PATH)$$(B)",
	} {
		rendered, want := env.escapeUnknown(word), expand(word, specified)
		if k, p := expand(rendered, kubernetes), expand(rendered, podman); k != want || p != want {
			t.Errorf("%q is rendered as %q: Kubernetes makes %q of it and Podman %q, not %q", word, rendered, k, p, want)
		}
	}
}

// expand does what Kubernetes' third_party/forked/golang/expansion and Podman's copy of it do.
func expand(word string, vars map[string]string) string {
	var out strings.Builder
	for i := 0; i < len(word); i++ {
		if word[i] != '$' || i+1 == len(word) {
			out.WriteByte(word[i])
			continue
		}
		i++
		closing := strings.IndexByte(word[i:], ')')
		switch {
		case word[i] == '$':
			out.WriteByte('$')
		case word[i] == '(' && closing > 0:
			name := word[i+1 : i+closing]
			value, ok := vars[name]
			if !ok {
				value = "$(" + name + ")"
			}
			out.WriteString(value)
			i += closing
		default:
			out.WriteByte('$')
			out.WriteByte(word[i])
		}
	}
	return out.String()
}

// TestValuesAreTakenLiterally finds that no value reaches a field that Kubernetes would expand.
func TestValuesAreTakenLiterally(t *testing.T) {
	values := map[string]string{"A": "$(B)", "B": "$$", "C": "$x", "D": "", "E": "x$$(A)", "F": "$("}
	s := &v1alpha1.Service{Name: "app"}
	for _, name := range sortedKeys(values) {
		s.Env = append(s.Env, v1alpha1.EnvVar{Name: name, Value: values[name]})
	}
	r := &renderer{stack: &v1alpha1.MockupStack{}, owner: Owner{Kind: "MockupStack", Namespace: "default", Name: "one"}}
	got := r.environment(s)
	for _, v := range got.vars {
		value := v.Value
		if v.ValueFrom != nil {
			config := got.configs[0]
			if v.ValueFrom.ConfigMapKeyRef.Name != config.GetName() {
				t.Fatalf("%s comes from %v", v.Name, v.ValueFrom)
			}
			value = configData(config)[v.ValueFrom.ConfigMapKeyRef.Key]
		} else if expand(value, values) != value {
			t.Errorf("Kubernetes makes %q of %s", expand(value, values), v.Name)
		}
		if value != values[v.Name] {
			t.Errorf("%s is %q, not %q", v.Name, value, values[v.Name])
		}
	}
}
