package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Probes tell the state of a container. They are run from outside with a kubelet's rules; nothing is needed in the image.
//
// +kubebuilder:validation:XValidation:rule=`self.?startup.successThreshold.orValue(1) == 1`,fieldPath=`.startup.successThreshold`,message=`must be 1`
// +kubebuilder:validation:XValidation:rule=`self.?liveness.successThreshold.orValue(1) == 1`,fieldPath=`.liveness.successThreshold`,message=`must be 1`
type Probes struct {
	// startup must succeed once before the others begin.
	// +optional
	Startup *Probe `json:"startup,omitempty"`
	// readiness decides whether the service's name leads to the pod.
	// +optional
	Readiness *Probe `json:"readiness,omitempty"`
	// liveness restarts the container when it fails.
	// +optional
	Liveness *Probe `json:"liveness,omitempty"`
}

// Probe asks a container about its state: exactly one of httpGet, tcpSocket, exec and grpc is set.
//
// +kubebuilder:validation:XValidation:rule=`[has(self.httpGet), has(self.tcpSocket), has(self.exec), has(self.grpc)].filter(x, x).size() == 1`,message=`exactly one of httpGet, tcpSocket, exec and grpc must be set`
type Probe struct {
	// httpGet succeeds when the answer's status is at least 200 and below 400.
	// +optional
	HTTPGet *HTTPGetProbe `json:"httpGet,omitempty"`
	// tcpSocket succeeds when a connection can be opened.
	// +optional
	TCPSocket *TCPSocketProbe `json:"tcpSocket,omitempty"`
	// exec succeeds when a program run in the container exits with 0.
	// +optional
	Exec *ExecProbe `json:"exec,omitempty"`
	// grpc succeeds when the gRPC health protocol answers SERVING.
	// +optional
	GRPC *GRPCProbe `json:"grpc,omitempty"`
	// initialDelaySeconds between the start of the container and the first try; the default is 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	InitialDelaySeconds int32 `json:"initialDelaySeconds,omitempty"`
	// periodSeconds from one try to the next; the default is 10.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	PeriodSeconds int32 `json:"periodSeconds,omitempty"`
	// timeoutSeconds after which a try counts as failed; the default is 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`
	// successThreshold is how many tries in a row must succeed after a failure; the default is 1, and startup and
	// liveness probes know no other.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	SuccessThreshold int32 `json:"successThreshold,omitempty"`
	// failureThreshold is how many tries in a row must fail after a success; the default is 3.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	FailureThreshold int32 `json:"failureThreshold,omitempty"`
}

// HTTPGetProbe is an HTTP request to the pod's address.
type HTTPGetProbe struct {
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
	// scheme is HTTP or HTTPS, whose certificate is not checked; the default is HTTP.
	// +optional
	// +kubebuilder:validation:Enum=HTTP;HTTPS
	Scheme corev1.URIScheme `json:"scheme,omitempty"`
	// headers of the request.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []HTTPHeader `json:"headers,omitempty"`
}

// HTTPHeader is a header of a request.
type HTTPHeader struct {
	// name of the header, e.g. Host.
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z0-9-]+$')`,message=`must consist of letters, digits and "-"`
	Name string `json:"name"`
	// value of the header, on one line.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[ -~]*$')`,message=`must be printable ASCII on one line`
	Value string `json:"value"`
}

// TCPSocketProbe is a connection to the pod's address.
type TCPSocketProbe struct {
	// port number.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
}

// ExecProbe is a program that is run in the container.
type ExecProbe struct {
	// command and its arguments; no shell is around it.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Command []string `json:"command"`
}

// GRPCProbe is a call of the gRPC health protocol.
type GRPCProbe struct {
	// port number.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// service that is asked for; the default is the server as a whole.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Service string `json:"service,omitempty"`
}

// ToCore is the probe as a Kubernetes container has it; nil for nil. What is unset stays unset.
func (p *Probe) ToCore() *corev1.Probe {
	if p == nil {
		return nil
	}
	return &corev1.Probe{
		ProbeHandler:        p.handler(),
		InitialDelaySeconds: p.InitialDelaySeconds,
		PeriodSeconds:       p.PeriodSeconds,
		TimeoutSeconds:      p.TimeoutSeconds,
		SuccessThreshold:    p.SuccessThreshold,
		FailureThreshold:    p.FailureThreshold,
	}
}

func (p *Probe) handler() (h corev1.ProbeHandler) {
	switch {
	case p.HTTPGet != nil:
		h.HTTPGet = p.HTTPGet.toCore()
	case p.TCPSocket != nil:
		h.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromInt32(p.TCPSocket.Port)}
	case p.Exec != nil:
		h.Exec = &corev1.ExecAction{Command: p.Exec.Command}
	case p.GRPC != nil:
		h.GRPC = &corev1.GRPCAction{Port: p.GRPC.Port}
		if p.GRPC.Service != "" {
			h.GRPC.Service = &p.GRPC.Service
		}
	}
	return h
}

func (g *HTTPGetProbe) toCore() *corev1.HTTPGetAction {
	action := &corev1.HTTPGetAction{Path: g.Path, Port: intstr.FromInt32(g.Port), Scheme: g.Scheme}
	for _, h := range g.Headers {
		action.HTTPHeaders = append(action.HTTPHeaders, corev1.HTTPHeader{Name: h.Name, Value: h.Value})
	}
	return action
}
