package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Objective is what a service is held to: exactly one of availability, errorRate and latency. What is agreed is promised
// to those who use the service; the target is what its makers aim at, at least as strict, and what alerts watch.
//
// +kubebuilder:validation:XValidation:rule=`[has(self.availability), has(self.errorRate), has(self.latency)].filter(b, b).size() == 1`,message=`exactly one of availability, errorRate and latency must be set`
// +kubebuilder:validation:XValidation:rule=`!has(self.latency) || self.service != 'gateway' || ![self.latency.agreed, self.latency.?target.orValue(self.latency.agreed)].all(d, d.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$')) || [self.latency.agreed, self.latency.?target.orValue(self.latency.agreed)].all(d, duration(d) in [duration('5ms'), duration('10ms'), duration('25ms'), duration('50ms'), duration('100ms'), duration('250ms'), duration('500ms'), duration('1s'), duration('2500ms'), duration('5s'), duration('10s'), duration('30s'), duration('60s')])`,fieldPath=`.latency`,message=`of the gateway must be one of 5ms, 10ms, 25ms, 50ms, 100ms, 250ms, 500ms, 1s, 2500ms, 5s, 10s, 30s and 60s, by which its requests are counted`
type Objective struct {
	// name of the objective.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')`,message=`must consist of lower-case letters, digits and "-", begin with a letter and not end with "-"`
	Name string `json:"name"`
	// service of the stack that is held to it, with a metricsPort; or gateway.
	// +required
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')`,message=`must be the name of a service, or gateway`
	Service string `json:"service"`
	// availability is the part of requests, in percent, that are answered without a failure of the service, which is a
	// status code of 500 or above.
	// +optional
	Availability *AvailabilityObjective `json:"availability,omitempty"`
	// errorRate is the part of requests, in percent, that are not.
	// +optional
	ErrorRate *ErrorRateObjective `json:"errorRate,omitempty"`
	// latency is the time within which a percentage of requests is answered.
	// +optional
	Latency *LatencyObjective `json:"latency,omitempty"`
	// window over which it is kept; the default is 30d.
	// +optional
	// +kubebuilder:validation:Enum="7d";"28d";"30d"
	Window string `json:"window,omitempty"`
}

// AvailabilityObjective is a percentage of requests; more is stricter.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.target) || ![self.agreed, self.target].all(p, p.matches('^[0-9]{1,2}([.][0-9]{1,4})?$')) || double(self.target) >= double(self.agreed)`,fieldPath=`.target`,message=`must be at least what is agreed`,messageExpression=`'must be at least what is agreed, ' + self.agreed`
type AvailabilityObjective struct {
	// agreed percentage, above 0 and below 100, with at most four decimals, e.g. "99.9".
	// +required
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[0-9]{1,2}([.][0-9]{1,4})?$') && double(self) > 0.0`,message=`must be a percentage above 0 and below 100 with at most four decimals, e.g. 99.9: nothing is up all the time`
	Agreed string `json:"agreed"`
	// target percentage, at least what is agreed; the default is what is agreed.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[0-9]{1,2}([.][0-9]{1,4})?$')`,message=`must be a percentage below 100 with at most four decimals, e.g. 99.95: nothing is up all the time`
	Target string `json:"target,omitempty"`
}

// ErrorRateObjective is a percentage of requests; less is stricter.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.target) || ![self.agreed, self.target].all(p, p.matches('^[0-9]{1,2}([.][0-9]{1,4})?$')) || double(self.target) <= double(self.agreed)`,fieldPath=`.target`,message=`must be at most what is agreed`,messageExpression=`'must be at most what is agreed, ' + self.agreed`
type ErrorRateObjective struct {
	// agreed percentage, above 0 and below 100, with at most four decimals, e.g. "0.1".
	// +required
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[0-9]{1,2}([.][0-9]{1,4})?$')`,message=`must be a percentage below 100 with at most four decimals, e.g. 0.1`
	Agreed string `json:"agreed"`
	// target percentage, above 0 and at most what is agreed; the default is what is agreed.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[0-9]{1,2}([.][0-9]{1,4})?$') && double(self) > 0.0`,message=`must be a percentage above 0 and below 100 with at most four decimals, e.g. 0.01: nothing is without errors`
	Target string `json:"target,omitempty"`
}

// LatencyObjective is a time within which most requests are answered.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.target) || ![self.agreed, self.target].all(d, d.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$')) || duration(self.target) <= duration(self.agreed)`,fieldPath=`.target`,message=`must be at most what is agreed`,messageExpression=`'must be at most what is agreed, %s'.format([self.agreed])`
type LatencyObjective struct {
	// percentile of requests that are answered in time, as a whole number; the default is 95.
	// +optional
	// +kubebuilder:default=95
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=99
	Percentile int32 `json:"percentile,omitempty"`
	// agreed time. It must be a bound of the histogram http_request_duration_seconds of the service.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('1h')`,message=`must be a duration from 1ms to 1h, e.g. 1s`
	Agreed metav1.Duration `json:"agreed"`
	// target time, at most what is agreed, and a bound of the histogram, too; the default is what is agreed.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('1h')`,message=`must be a duration from 1ms to 1h, e.g. 500ms`
	Target *metav1.Duration `json:"target,omitempty"`
}
