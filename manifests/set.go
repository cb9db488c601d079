// Package manifests turns a resource and the facts about it into standard Kubernetes manifests. It is pure: no client,
// no file, no network, no clock and no log; equal input gives equal bytes.
package manifests

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"mockup.dev/mockup/api/v1alpha1"
)

// Owner is the resource that a set of objects belongs to. Its string form is the value of LabelOwner on everything
// that a backend makes.
type Owner struct {
	Kind      string
	Namespace string
	Name      string
	// UID of the resource; empty when rendered without a server. It takes no part in comparing owners.
	UID types.UID
}

// String is KIND.NAMESPACE.NAME, the form used in labels: no part of it contains a dot.
func (o Owner) String() string {
	return o.Kind + "." + o.Namespace + "." + o.Name
}

// Is tells whether o and p are the same owner, whatever their UIDs.
func (o Owner) Is(p Owner) bool {
	return o.Kind == p.Kind && o.Namespace == p.Namespace && o.Name == p.Name
}

// ParseOwner reads the form that Owner.String writes.
func ParseOwner(s string) (Owner, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return Owner{}, fmt.Errorf("owner %q is not KIND.NAMESPACE.NAME", s)
	}
	return Owner{Kind: parts[0], Namespace: parts[1], Name: parts[2]}, nil
}

// Object is a typed Kubernetes object with its apiVersion and kind filled in.
type Object interface {
	metav1.Object
	runtime.Object
}

// Ref names an object of a set: kind and name are enough, since a set lives in its owner's namespace.
type Ref struct {
	Kind string
	Name string
}

// String is Kind/name.
func (r Ref) String() string { return r.Kind + "/" + r.Name }

// RefOf is the reference to o.
func RefOf(o Object) Ref {
	return Ref{Kind: o.GetObjectKind().GroupVersionKind().Kind, Name: o.GetName()}
}

// Set is the whole truth about what one owner wants, in the order in which it is best created.
type Set struct {
	Owner Owner
	// Objects are the rendered manifests.
	Objects []Object
	// Secrets and ConfigMaps are those that the objects refer to without owning them. A cluster has them already; Podman
	// is given copies.
	Secrets    []*corev1.Secret
	ConfigMaps []*corev1.ConfigMap
	// Networks are those of another owner of the namespace that pods of the set join by label, e.g. a stack's, whose
	// services they watch. They are there or not; the set's owner neither makes nor removes them.
	Networks []*networkingv1.NetworkPolicy
	// Claims are those of another owner of the namespace that pods of the set mount, e.g. a stack's, which they back up.
	// They are there; the set's owner neither makes nor removes them.
	Claims []*corev1.PersistentVolumeClaim
	// Remove asks for everything of the owner to go, retained volumes excepted. Objects then only says which claims
	// are retained; what is labelled so on the backend is retained in any case.
	Remove bool
}

// Retaining is a removal s that keeps every volume, whatever the policies of its claims say.
func (s Set) Retaining() Set {
	kept := make([]Object, 0, len(s.Objects))
	for _, o := range s.Objects {
		if claim, ok := o.(*corev1.PersistentVolumeClaim); ok {
			claim = claim.DeepCopy()
			claim.Labels[LabelReclaim] = string(v1alpha1.ReclaimRetain)
			o = claim
		}
		kept = append(kept, o)
	}
	s.Objects = kept
	return s
}

// Removal is the set that takes everything of owner away.
func Removal(owner Owner) Set { return Set{Owner: owner, Remove: true} }
