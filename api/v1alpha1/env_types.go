package v1alpha1

// EnvVar is an environment variable: exactly one of value and valueFrom, or neither for the empty string.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.value) || !has(self.valueFrom)`,message=`at most one of value and valueFrom may be set`
type EnvVar struct {
	// name of the variable.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z_][A-Za-z0-9_]*$')`,message=`must consist of letters, digits and "_" and not begin with a digit`
	Name string `json:"name"`
	// value as it is. It must not contain "$(", which backends expand differently; take such a value from a ConfigMap.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	// +kubebuilder:validation:XValidation:rule=`!self.contains('$(')`,message=`must not contain "$(", which a cluster expands and Podman does not; take the value from a ConfigMap`
	Value string `json:"value,omitempty"`
	// valueFrom takes the value from elsewhere.
	// +optional
	ValueFrom *EnvVarSource `json:"valueFrom,omitempty"`
}

// EnvVarSource is where a value comes from: exactly one of its fields is set.
//
// +kubebuilder:validation:XValidation:rule=`has(self.secretKeyRef) != has(self.configMapKeyRef)`,message=`exactly one of secretKeyRef and configMapKeyRef must be set`
type EnvVarSource struct {
	// secretKeyRef takes a key of a Secret in the stack's namespace. On Podman its value is visible to those who may
	// inspect the container, which status reports.
	// +optional
	SecretKeyRef *KeyRef `json:"secretKeyRef,omitempty"`
	// configMapKeyRef takes a key of a ConfigMap in the stack's namespace.
	// +optional
	ConfigMapKeyRef *KeyRef `json:"configMapKeyRef,omitempty"`
}

// KeyRef is a key of a named object.
type KeyRef struct {
	// name of the object.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')`,message=`must be the name of an object: lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit`
	Name string `json:"name"`
	// key in the object's data.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[-._a-zA-Z0-9]+$')`,message=`must be a key of the object: letters, digits, "-", "_" and "."`
	Key string `json:"key"`
}

// EnvFromSource is an object whose keys become environment variables: exactly one of its fields is set.
//
// +kubebuilder:validation:XValidation:rule=`has(self.secretRef) != has(self.configMapRef)`,message=`exactly one of secretRef and configMapRef must be set`
type EnvFromSource struct {
	// secretRef names a Secret in the stack's namespace.
	// +optional
	SecretRef *ObjectRef `json:"secretRef,omitempty"`
	// configMapRef names a ConfigMap in the stack's namespace.
	// +optional
	ConfigMapRef *ObjectRef `json:"configMapRef,omitempty"`
}

// ObjectRef names an object in the same namespace.
type ObjectRef struct {
	// name of the object.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')`,message=`must be the name of an object: lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit`
	Name string `json:"name"`
}
