package podman

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// Refusals lists everything that set asks for and that this backend does not do as written, in the order of its objects.
// It is pure: nothing is asked of Podman. The error is that of a manifest that can't be read.
func Refusals(set manifests.Set) ([]backend.Refusal, error) {
	w, err := translate(set, "")
	return w.refused, err
}

// Reasons for what has no reason of its own.
const (
	reasonField = "Podman does not do this and nothing stands in for it"
	reasonKind  = "Podman has nothing that corresponds to this kind"
)

// unsupported lists the fields of o that are set and that Podman neither honours nor this backend emulates. The tables of
// what is had are by kind; a field that is in none is refused, so that nothing falls through in silence.
//
// A request is refused when its effect is missed, also if it is Kubernetes' default, and not when there is no effect to
// miss on one node: a toleration where nothing is tainted, a preference among one.
func unsupported(o manifests.Object) []backend.Refusal {
	w := walk{ref: manifests.RefOf(o)}
	table, ok := fieldsByKind[w.ref.Kind]
	if !ok {
		w.refuse("", reasonKind)
		return w.out
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		w.refuse("", fmt.Sprintf("it can't be read: %v", err))
		return w.out
	}
	delete(content, "status") // is observed, not asked for
	if s, ok := o.(*corev1.Service); ok {
		if _, ok := nodePortOf(s); ok {
			table = nodeServiceFields
		}
	}
	w.field("", object(table), content)
	w.related(o)
	return w.out
}

// fields says what becomes of the fields of an object, by their names.
type fields map[string]field

// field says what becomes of one; the zero field is had with every value.
type field struct {
	// refuse tells why a value is not had as written; empty when it is. Of a list of objects it judges each element.
	refuse func(value any) string
	// fields inside, of an object or of each object of a list. Without them, whatever is inside is had.
	fields fields
	// other is the reason for what is inside and not among the fields.
	other string
}

// walk goes through one object and gathers what is refused.
type walk struct {
	ref manifests.Ref
	out []backend.Refusal
}

func (w *walk) refuse(path, reason string) {
	w.out = append(w.out, backend.Refusal{Ref: w.ref, Path: path, Reason: reason})
}

// field judges a value at path, from the outside to the inside: of what is refused whole, the inside is not looked at.
func (w *walk) field(path string, f field, value any) {
	if list, ok := value.([]any); ok && ofObjects(list) {
		for i, element := range list {
			w.field(path+"["+elementName(element, i)+"]", f, element)
		}
		return
	}
	if f.refuse != nil && value != nil {
		if reason := f.refuse(value); reason != "" {
			w.refuse(path, reason)
			return
		}
	}
	content, ok := value.(map[string]any)
	if !ok || f.fields == nil {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(content)) {
		at := key
		if path != "" {
			at = path + "." + key
		}
		inside, known := f.fields[key]
		if !known {
			inside = never(cmp.Or(f.other, reasonField))
		}
		w.field(at, inside, content[key])
	}
}

func ofObjects(list []any) bool {
	return slices.ContainsFunc(list, func(e any) bool { _, ok := e.(map[string]any); return ok })
}

// elementName is how an element of a list is told from the others: by what names it where there is something.
func elementName(element any, i int) string {
	content, _ := element.(map[string]any)
	for _, key := range []string{"mountPath", "name", "key", "ip", "topologyKey"} {
		if name, ok := content[key].(string); ok && name != "" {
			return name
		}
	}
	for _, key := range []string{"secretRef", "configMapRef"} { // of envFrom
		if ref, ok := content[key].(map[string]any); ok {
			return elementName(ref, i)
		}
	}
	return strconv.Itoa(i)
}

// object is had as far as its fields are; so is each element of a list of such.
func object(f fields) field { return field{fields: f} }

// had is a field that is honoured or emulated with every value and all that is inside.
func had() field { return field{} }

// never is a field that is refused with every value.
func never(reason string) field {
	return field{refuse: func(any) string { return reason }}
}

// only is a field that is had with some values; of a list, every element must be one of them.
func only(reason string, values ...any) field {
	var texts []string
	for _, v := range values {
		texts = append(texts, fmt.Sprint(v))
	}
	return field{refuse: func(value any) string {
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		for _, v := range list {
			if !slices.Contains(texts, fmt.Sprint(v)) {
				return reason
			}
		}
		return ""
	}}
}
