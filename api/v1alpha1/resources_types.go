package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Resources of a container: what is set aside for it and what it may not exceed.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.requests) || !has(self.limits) || !has(self.requests.cpu) || !has(self.limits.cpu) || quantity(string(self.requests.cpu)).compareTo(quantity(string(self.limits.cpu))) <= 0`,fieldPath=`.requests.cpu`,message=`must not exceed limits.cpu`,messageExpression=`'must not exceed limits.cpu, which is ' + string(self.limits.cpu)`
// +kubebuilder:validation:XValidation:rule=`!has(self.requests) || !has(self.limits) || !has(self.requests.memory) || !has(self.limits.memory) || quantity(string(self.requests.memory)).compareTo(quantity(string(self.limits.memory))) <= 0`,fieldPath=`.requests.memory`,message=`must not exceed limits.memory`,messageExpression=`'must not exceed limits.memory, which is ' + string(self.limits.memory)`
type Resources struct {
	// requests are set aside for the container; the default is a small container's, at most the limits.
	// +optional
	Requests ResourceAmounts `json:"requests,omitzero"`
	// limits that the container may not exceed: beyond limits.cpu it is slowed down, beyond limits.memory it is killed.
	// The default is a small container's, at least the requests.
	// +optional
	Limits ResourceAmounts `json:"limits,omitzero"`
}

// ResourceAmounts are amounts of the two resources that every backend knows.
type ResourceAmounts struct {
	// cpu in cores, e.g. 500m for half a core.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule=`quantity(string(self)).compareTo(quantity('10m')) >= 0`,message=`must be at least 10m, the least share of a core that Linux can limit to`
	CPU *resource.Quantity `json:"cpu,omitempty"`
	// memory in bytes, e.g. 128Mi.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule=`quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('4Mi')) >= 0`,message=`must be a whole number of bytes and at least 4Mi; is the unit missing?`
	Memory *resource.Quantity `json:"memory,omitempty"`
}

// ToCore is the resources as a Kubernetes container has them; the zero value for nil. What is unset stays unset.
func (r *Resources) ToCore() corev1.ResourceRequirements {
	if r == nil {
		return corev1.ResourceRequirements{}
	}
	return corev1.ResourceRequirements{Requests: r.Requests.toCore(), Limits: r.Limits.toCore()}
}

func (a ResourceAmounts) toCore() corev1.ResourceList {
	list := corev1.ResourceList{}
	if a.CPU != nil {
		list[corev1.ResourceCPU] = *a.CPU
	}
	if a.Memory != nil {
		list[corev1.ResourceMemory] = *a.Memory
	}
	return list
}
