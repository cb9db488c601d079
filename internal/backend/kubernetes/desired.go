package kubernetes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// desired is object as it is applied for owner: labelled, owned, without what a cluster does not do, which is refused.
func desired(object manifests.Object, owner manifests.Owner) (*unstructured.Unstructured, []backend.Refusal, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object.DeepCopyObject())
	if err != nil {
		return nil, nil, fmt.Errorf("converting %s: %w", manifests.RefOf(object), err)
	}
	o := &unstructured.Unstructured{Object: dropNulls(content).(map[string]any)}
	unstructured.RemoveNestedField(o.Object, "status")
	o.SetNamespace(owner.Namespace)
	o.SetLabels(labelled(o.GetLabels(), owner))
	if isWorkload(o.GetKind()) {
		labels, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
		labels = labelled(labels, owner)
		labels[manifests.LabelWorkload] = o.GetName()
		if err := unstructured.SetNestedStringMap(o.Object, labels, "spec", "template", "metadata", "labels"); err != nil {
			return nil, nil, fmt.Errorf("labelling the pods of %s: %w", manifests.RefOf(object), err)
		}
	}
	if owner.UID != "" && !isRetained(o) {
		o.SetOwnerReferences([]metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: owner.Kind, Name: owner.Name, UID: owner.UID,
			Controller: new(true), BlockOwnerDeletion: new(true),
		}})
	}
	return o, refuse(o), nil
}

// isRetained tells whether a claim stays when its owner goes.
func isRetained(o *unstructured.Unstructured) bool {
	return o.GetKind() == "PersistentVolumeClaim" && o.GetLabels()[manifests.LabelReclaim] == "Retain"
}

func labelled(labels map[string]string, owner manifests.Owner) map[string]string {
	if labels == nil {
		labels = map[string]string{}
	}
	labels[manifests.LabelManagedBy] = manifests.ManagedBy
	labels[manifests.LabelOwner] = owner.String()
	return labels
}

// dropNulls removes what a typed object only says by its type, such as a creation time that is null: under server-side
// apply to name a field is to own it.
func dropNulls(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if inner == nil {
				delete(v, key)
			} else {
				v[key] = dropNulls(inner)
			}
		}
	case []any:
		for i := range v {
			v[i] = dropNulls(v[i])
		}
	}
	return value
}

// refuse takes out of o what can't be carried to a cluster and says so: there, addresses are the cluster's to give, and
// who comes from outside comes by a Service.
func refuse(o *unstructured.Unstructured) []backend.Refusal {
	r := refusals{ref: manifests.Ref{Kind: o.GetKind(), Name: o.GetName()}}
	for _, key := range sortedKeys(o.GetAnnotations()) {
		switch key {
		case manifests.AnnotationSubnet:
			r.add("metadata.annotations["+key+"]", "not portable: a cluster gives pods addresses of its own")
		case manifests.AnnotationExisting:
			r.add("metadata.annotations["+key+"]", "not portable: a volume of Podman can't be adopted on a cluster")
		}
	}
	if !isWorkload(o.GetKind()) {
		return r.all
	}
	annotations, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "annotations")
	for _, key := range sortedKeys(annotations) {
		if strings.HasPrefix(key, manifests.AnnotationIPPrefix) {
			r.add("spec.template.metadata.annotations["+key+"]", "not portable: a cluster gives pods addresses of its own; the Service's name stays")
		}
	}
	containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	for i, c := range containers {
		ports, _ := c.(map[string]any)["ports"].([]any)
		for j, port := range ports {
			for _, field := range []string{"hostPort", "hostIP"} {
				if _, asked := port.(map[string]any)[field]; asked {
					delete(port.(map[string]any), field)
					r.add(fmt.Sprintf("spec.template.spec.containers[%d].ports[%d].%s", i, j, field),
						"not portable: on a cluster a Service leads in from outside")
				}
			}
		}
	}
	if len(containers) > 0 {
		_ = unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers") // it was one before
	}
	return r.all
}

type refusals struct {
	ref manifests.Ref
	all []backend.Refusal
}

func (r *refusals) add(path, reason string) {
	r.all = append(r.all, backend.Refusal{Ref: r.ref, Path: path, Reason: reason})
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// fingerprint of what others may edit: everything but status and the server's own bookkeeping.
func fingerprint(o *unstructured.Unstructured) string {
	content := map[string]any{}
	for key, value := range o.Object {
		if key != "status" && key != "metadata" {
			content[key] = value
		}
	}
	content["metadata"] = map[string]any{
		"labels": o.GetLabels(), "annotations": o.GetAnnotations(), "ownerReferences": o.GetOwnerReferences(),
	}
	data, err := json.Marshal(content)
	if err != nil {
		return "" // equal to nothing that was remembered, so the object is applied
	}
	return string(data)
}
