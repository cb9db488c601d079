package manifests

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

// Revision is a specification that a stack has or had, kept so that one can go back to it.
type Revision struct {
	// Number counts up from 1. A specification that comes back has a new number, as with a Deployment.
	Number  int64
	Created time.Time
	// Cause is what somebody said of the change; mostly nothing.
	Cause string
	Spec  v1alpha1.MockupStackSpec
}

// keyRevisionSpec is where the ConfigMap of a revision keeps the specification.
const keyRevisionSpec = "spec.json"

// RevisionName is the name of the ConfigMap that keeps a revision of a stack.
func RevisionName(stack string, number int64) string {
	return fmt.Sprintf("%s-revision-%d", stack, number)
}

// RevisionLabels find the revisions of a stack in its namespace. They have no owner's label: a backend, which removes
// what an owner no longer names, does not know them.
func RevisionLabels(stack string) map[string]string {
	return map[string]string{LabelManagedBy: ManagedBy, LabelRevisionOf: stack}
}

// RevisionConfigMap keeps the specification that s has now under a number.
func RevisionConfigMap(s *v1alpha1.MockupStack, number int64) *corev1.ConfigMap {
	c := &corev1.ConfigMap{
		TypeMeta:   typeMeta("v1", "ConfigMap"),
		ObjectMeta: metav1.ObjectMeta{Name: RevisionName(s.Name, number), Namespace: s.Namespace, Labels: RevisionLabels(s.Name)},
		Immutable:  ptr(true),
		Data:       map[string]string{keyRevisionSpec: CanonicalSpec(&s.Spec)},
	}
	c.Labels[LabelRevision] = strconv.FormatInt(number, 10)
	if cause := s.Annotations[AnnotationChangeCause]; cause != "" {
		c.Annotations = map[string]string{AnnotationChangeCause: cause}
	}
	return c
}

// ParseRevision reads what RevisionConfigMap writes.
func ParseRevision(c *corev1.ConfigMap) (Revision, error) {
	number, err := strconv.ParseInt(c.Labels[LabelRevision], 10, 64)
	if err != nil {
		return Revision{}, fmt.Errorf("ConfigMap %s: label %s: %w", c.Name, LabelRevision, err)
	}
	r := Revision{Number: number, Created: c.CreationTimestamp.Time, Cause: c.Annotations[AnnotationChangeCause]}
	if err := json.Unmarshal([]byte(c.Data[keyRevisionSpec]), &r.Spec); err != nil {
		return Revision{}, fmt.Errorf("ConfigMap %s: %s: %w", c.Name, keyRevisionSpec, err)
	}
	return r, nil
}

// ParseRevisions reads those of items that are revisions of s, oldest first. What belongs to an earlier stack of the same
// name, and what can't be read, is left out.
func ParseRevisions(s *v1alpha1.MockupStack, items []corev1.ConfigMap) []Revision {
	var out []Revision
	for i := range items {
		if !metav1.IsControlledBy(&items[i], s) {
			continue
		}
		if r, err := ParseRevision(&items[i]); err == nil {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Revision) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// CanonicalSpec is the same text for specifications that mean the same to the API server.
func CanonicalSpec(spec *v1alpha1.MockupStackSpec) string {
	text, err := json.Marshal(spec)
	if err != nil {
		panic(fmt.Sprintf("plain data always has a JSON form: %v", err))
	}
	return string(text)
}
