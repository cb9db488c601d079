package kubernetes

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kinds that a set may hold, in the order in which they are removed: first what runs, then what that uses. Each is the
// plural of its resource and the group and version in which it is applied.
var kinds = []struct { //nolint:gochecknoglobals // a table that nothing writes to
	kind     string
	resource schema.GroupVersionResource
}{
	{"Deployment", apps("deployments")},
	{"DaemonSet", apps("daemonsets")},
	{"Job", schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}},
	{"Service", core("services")},
	{"ConfigMap", core("configmaps")},
	{"Secret", core("secrets")},
	{"PersistentVolumeClaim", core("persistentvolumeclaims")},
	{"NetworkPolicy", schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"}},
}

func core(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: resource}
}

func apps(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: resource}
}

// resourceOf a kind, and its place in the order of removal.
func resourceOf(kind string) (resource schema.GroupVersionResource, place int, known bool) {
	for i, k := range kinds {
		if k.kind == kind {
			return k.resource, i, true
		}
	}
	return schema.GroupVersionResource{}, 0, false
}

// isWorkload tells whether objects of kind have pods.
func isWorkload(kind string) bool {
	return slices.Contains([]string{"Deployment", "DaemonSet", "Job"}, kind)
}

// goingAway tells whether an object is on its way out.
func goingAway(o *unstructured.Unstructured) bool { return o.GetDeletionTimestamp() != nil }
