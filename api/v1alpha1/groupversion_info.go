// Package v1alpha1 is the API of mockup: what a user may ask for and what is answered.
//
// +kubebuilder:object:generate=true
// +groupName=mockup.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion names this API in apiVersion fields.
var GroupVersion = schema.GroupVersion{Group: "mockup.dev", Version: "v1alpha1"}

// AddToScheme makes the kinds of this package known to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&MockupStack{}, &MockupStackList{}, &ObservabilityAddon{}, &ObservabilityAddonList{}, &BackupPolicy{}, &BackupPolicyList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
