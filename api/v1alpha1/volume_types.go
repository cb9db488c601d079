package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// ReclaimPolicy says what becomes of a volume when its stack is deleted.
//
// +kubebuilder:validation:Enum=Retain;Delete
type ReclaimPolicy string

// The reclaim policies.
const (
	ReclaimRetain ReclaimPolicy = "Retain"
	ReclaimDelete ReclaimPolicy = "Delete"
)

// Volume is storage that outlives the containers which mount it.
//
// +kubebuilder:validation:XValidation:rule=`has(self.size) != has(self.existing)`,message=`exactly one of size and existing must be set`
// +kubebuilder:validation:XValidation:rule=`!has(self.existing) || self.?reclaimPolicy.orValue('Retain') == 'Retain'`,fieldPath=`.reclaimPolicy`,reason=FieldValueForbidden,message=`an adopted volume is always retained; leave reclaimPolicy out, or write Retain`
// +kubebuilder:validation:XValidation:rule=`!has(self.size) || !has(oldSelf.size) || quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0`,fieldPath=`.size`,reason=FieldValueForbidden,message=`can not shrink`,messageExpression=`'can not shrink; it was ' + string(oldSelf.size)`
// +kubebuilder:validation:XValidation:rule=`has(self.existing) == has(oldSelf.existing) && (!has(self.existing) || self.existing == oldSelf.existing)`,fieldPath=`.existing`,reason=FieldValueForbidden,message=`can not be changed; remove the volume and add one with another name`
type Volume struct {
	// name by which services mount it.
	// +required
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')`,message=`must consist of lower-case letters, digits and "-", begin with a letter and not end with "-"`
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^[0-9a-f]+$')`,message=`must not consist of the digits 0-9 and a-f alone, which Podman could take for an ID`,messageExpression=`'must not consist of the digits 0-9 and a-f alone, which Podman could take for an ID; "' + self + '-1" would do'`
	Name string `json:"name"`
	// size asked for, e.g. 5Gi. Required unless existing is set. It can grow but not shrink.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule=`quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('1Mi')) >= 0`,message=`must be a whole number of bytes and at least 1Mi; is the unit missing?`
	Size *resource.Quantity `json:"size,omitempty"`
	// reclaimPolicy says what becomes of the volume when the stack is deleted, or when it leaves the stack. The default
	// is Retain; an adopted volume is always retained.
	// +optional
	ReclaimPolicy ReclaimPolicy `json:"reclaimPolicy,omitempty"`
	// existing adopts a volume that is already there under this name (a Podman volume; on a cluster, a claim in the
	// same namespace) in place of a new one. It is never deleted.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-zA-Z0-9][a-zA-Z0-9_.-]*$')`,message=`must be the name of a volume: letters, digits, "_", "." and "-", beginning with a letter or digit`
	Existing string `json:"existing,omitempty"`
}

// VolumeMount puts a volume into a container.
type VolumeMount struct {
	// volume is the name of one of the stack's volumes.
	// +required
	// +kubebuilder:validation:MaxLength=24
	Volume string `json:"volume"`
	// mountPath is an absolute path in the container.
	// +required
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`self.startsWith('/') && !self.contains('//') && !self.matches('(^|/)[.]{1,2}(/|$)') && !self.matches('[[:cntrl:]:]') && (self == '/' || !self.endsWith('/'))`,message=`must be an absolute path without "//", ".", "..", ":" and a "/" at its end, e.g. /data`
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^/+$|^/(tmp|proc|sys|dev)$|^/(proc|sys|dev)/')`,message=`must not be /, /tmp, or in /proc, /sys or /dev, which every container has already`
	MountPath string `json:"mountPath"`
	// subPath is a relative path inside the volume; the default is its root.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`size(self) > 0 && !self.startsWith('/') && !self.endsWith('/') && !self.contains('//') && !self.matches('(^|/)[.]{1,2}(/|$)') && !self.matches('[[:cntrl:]:]')`,message=`must be a relative path without "//", ".", ".." and ":", e.g. uploads/2026`
	SubPath string `json:"subPath,omitempty"`
	// readOnly mounts without the right to write. One service at most mounts a volume without it.
	// +optional
	ReadOnly bool `json:"readOnly,omitempty"`
}
