package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// UpdateType is how a change is rolled out.
//
// +kubebuilder:validation:Enum=RollingUpdate;Recreate
type UpdateType string

// The update types.
const (
	UpdateRolling  UpdateType = "RollingUpdate"
	UpdateRecreate UpdateType = "Recreate"
)

// UpdateStrategy says how a change is rolled out. Its fields mean what they mean on a Deployment of Kubernetes.
//
// +kubebuilder:validation:XValidation:rule=`!(has(self.maxSurge) && (self.maxSurge == 0 || self.maxSurge == '0%')) || (has(self.maxUnavailable) && self.maxUnavailable != 0 && self.maxUnavailable != '0%')`,fieldPath=`.maxSurge`,message=`must not be 0 where maxUnavailable is 0, as it is by default: no pod could ever be replaced`
type UpdateStrategy struct {
	// type is RollingUpdate or Recreate. The default is RollingUpdate, and Recreate for a service that mounts a volume
	// for writing.
	// +optional
	Type UpdateType `json:"type,omitempty"`
	// maxSurge is how many pods there may be beyond replicas during a RollingUpdate: a number, or a percentage of
	// replicas, rounded up; the default is 1.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=4
	// +kubebuilder:validation:XValidation:rule=`type(self) == int ? self >= 0 && self <= 32 : string(self).matches('^(100|[1-9]?[0-9])%$')`,message=`must be a number from 0 to 32, or a percentage from 0% to 100%, e.g. 25%`
	MaxSurge *intstr.IntOrString `json:"maxSurge,omitempty"`
	// maxUnavailable is how many of replicas may be missing during a RollingUpdate: a number, or a percentage of
	// replicas, rounded down; the default is 0.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=4
	// +kubebuilder:validation:XValidation:rule=`type(self) == int ? self >= 0 && self <= 32 : string(self).matches('^(100|[1-9]?[0-9])%$')`,message=`must be a number from 0 to 32, or a percentage from 0% to 100%, e.g. 25%`
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}

// PreStop is what happens in a pod before its programs are told to stop: exactly one of its fields is set.
//
// +kubebuilder:validation:XValidation:rule=`[has(self.exec), has(self.httpGet), has(self.sleepSeconds)].filter(x, x).size() == 1`,message=`exactly one of exec, httpGet and sleepSeconds must be set`
type PreStop struct {
	// exec runs a program in the container. What it returns does not matter.
	// +optional
	Exec *ExecProbe `json:"exec,omitempty"`
	// httpGet sends a request to the pod's address. What it answers does not matter.
	// +optional
	HTTPGet *HTTPGetHook `json:"httpGet,omitempty"`
	// sleepSeconds waits, less long than terminationGracePeriodSeconds; 0 turns preStop off.
	// +optional
	// +kubebuilder:validation:Minimum=0
	SleepSeconds *int64 `json:"sleepSeconds,omitempty"`
}

// HTTPGetHook is an HTTP request to the pod's address.
type HTTPGetHook struct {
	// path with query, beginning with "/"; the default is "/".
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self.matches('^/[!-~]*$')`,message=`must begin with "/" and contain no spaces`
	Path string `json:"path,omitempty"`
	// port number.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
}

// ToCore is the hook as a Kubernetes container has it; nil for nil and where it is turned off.
func (p *PreStop) ToCore() *corev1.Lifecycle {
	var handler corev1.LifecycleHandler
	switch {
	case p == nil:
		return nil
	case p.Exec != nil:
		handler.Exec = &corev1.ExecAction{Command: p.Exec.Command}
	case p.HTTPGet != nil:
		handler.HTTPGet = &corev1.HTTPGetAction{Path: p.HTTPGet.Path, Port: intstr.FromInt32(p.HTTPGet.Port)}
	case p.SleepSeconds == nil || *p.SleepSeconds == 0:
		return nil
	default:
		handler.Sleep = &corev1.SleepAction{Seconds: *p.SleepSeconds}
	}
	return &corev1.Lifecycle{PreStop: &handler}
}
