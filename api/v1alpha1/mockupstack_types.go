package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MockupStack is a small platform on one host: a TLS gateway in front of services on named networks, with volumes.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=stack;stacks,categories=mockup
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Workloads",type=string,JSONPath=`.status.workloads`
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches('^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$')`,fieldPath=`.metadata`,messageExpression=`'the name "' + self.metadata.name + '" must have at most 32 lower-case letters, digits and "-", begin with a letter and not end with "-"'`
// +kubebuilder:validation:XValidation:rule=`!self.metadata.name.matches('^[0-9a-f]+$')`,fieldPath=`.metadata`,messageExpression=`'the name "' + self.metadata.name + '" must not consist of the digits 0-9 and a-f alone, which Podman could take for an ID'`
type MockupStack struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what should run.
	// +required
	Spec MockupStackSpec `json:"spec"`
	// status is what runs, as last observed.
	// +optional
	Status MockupStackStatus `json:"status,omitzero"`
}

// MockupStackList is a list of stacks.
//
// +kubebuilder:object:root=true
type MockupStackList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MockupStack `json:"items"`
}

// The rules of the specification as a whole, which see several fields at once, are written in this way:
//   - The API server estimates the cost of a rule and its message from the sizes of what they handle, and knows none for
//     joined strings. So messages list what is wrong with format, which is not estimated.
//   - [x].all(l, …) and [x].map(l, …)[0] give a value the name l, since CEL has no variables.
//   - The lower half of a network of p bits is the network of p+1 bits with the same address. The number p+1 is cut out of
//     a string, because string(p+1) has no known size. Of the lower half, the network of 31 bits is not given away.
//   - Each guards itself against what another rule refuses (isIP, isCIDR), so that one mistake gives one message.

// MockupStackSpec is what should run.
//
// +kubebuilder:validation:XValidation:rule=`[(has(self.gateway) ? self.gateway.networks.filter(a, has(a.ip)).map(a, a.ip) : []) + self.services.map(s, s.networks.filter(a, has(a.ip)).map(a, a.ip)).flatten()].all(l, l.distinct().size() == l.size())`,message=`each fixed address must be given only once`,messageExpression=`[(has(self.gateway) ? self.gateway.networks.filter(a, has(a.ip)).map(a, a.ip) : []) + self.services.map(s, s.networks.filter(a, has(a.ip)).map(a, a.ip)).flatten()].map(l, 'fixed addresses %s are given more than once'.format([l.filter(i, l.filter(j, j == i).size() > 1).distinct()]))[0]`
// +kubebuilder:validation:XValidation:rule=`!has(self.gateway) || !self.gateway.networks.exists(a, has(a.ip) && isIP(a.ip) && ip(a.ip).family() == 4 && self.networks.exists(n, n.name == a.name && isCIDR(n.subnet) && cidr(n.subnet).prefixLength() >= 8 && cidr(n.subnet).prefixLength() <= 28 && (!(cidr(a.ip + '/' + ' 91011121314151617181920212223242526272829'.substring(2 * cidr(n.subnet).prefixLength() - 16, 2 * cidr(n.subnet).prefixLength() - 14).trim()).masked().ip() == cidr(n.subnet).masked().ip()) || cidr(a.ip + '/31').masked().ip() == cidr(n.subnet).masked().ip())))`,fieldPath=`.gateway.networks`,message=`fixed addresses must lie in the lower half of their subnet, beyond its first two addresses`,messageExpression=`'%s can not be given: fixed addresses lie in the lower half of the subnet, beyond its first two addresses'.format([self.gateway.networks.filter(a, has(a.ip) && isIP(a.ip) && ip(a.ip).family() == 4 && self.networks.exists(n, n.name == a.name && isCIDR(n.subnet) && cidr(n.subnet).prefixLength() >= 8 && cidr(n.subnet).prefixLength() <= 28 && (!(cidr(a.ip + '/' + ' 91011121314151617181920212223242526272829'.substring(2 * cidr(n.subnet).prefixLength() - 16, 2 * cidr(n.subnet).prefixLength() - 14).trim()).masked().ip() == cidr(n.subnet).masked().ip()) || cidr(a.ip + '/31').masked().ip() == cidr(n.subnet).masked().ip()))).map(a, a.ip)])`
// +kubebuilder:validation:XValidation:rule=`!self.services.exists(s, s.networks.exists(a, has(a.ip) && isIP(a.ip) && ip(a.ip).family() == 4 && self.networks.exists(n, n.name == a.name && isCIDR(n.subnet) && cidr(n.subnet).prefixLength() >= 8 && cidr(n.subnet).prefixLength() <= 28 && (!(cidr(a.ip + '/' + ' 91011121314151617181920212223242526272829'.substring(2 * cidr(n.subnet).prefixLength() - 16, 2 * cidr(n.subnet).prefixLength() - 14).trim()).masked().ip() == cidr(n.subnet).masked().ip()) || cidr(a.ip + '/31').masked().ip() == cidr(n.subnet).masked().ip()))))`,fieldPath=`.services`,message=`fixed addresses must lie in the lower half of their subnet, beyond its first two addresses`,messageExpression=`'%s can not be given: fixed addresses lie in the lower half of the subnet, beyond its first two addresses'.format([self.services.map(s, s.networks.filter(a, has(a.ip) && isIP(a.ip) && ip(a.ip).family() == 4 && self.networks.exists(n, n.name == a.name && isCIDR(n.subnet) && cidr(n.subnet).prefixLength() >= 8 && cidr(n.subnet).prefixLength() <= 28 && (!(cidr(a.ip + '/' + ' 91011121314151617181920212223242526272829'.substring(2 * cidr(n.subnet).prefixLength() - 16, 2 * cidr(n.subnet).prefixLength() - 14).trim()).masked().ip() == cidr(n.subnet).masked().ip()) || cidr(a.ip + '/31').masked().ip() == cidr(n.subnet).masked().ip()))).map(a, '%s of %s on %s'.format([a.ip, s.name, a.name]))).flatten()])`
// +kubebuilder:validation:XValidation:rule=`!has(self.gateway) || !self.gateway.networks.exists(a, !self.networks.exists(n, n.name == a.name))`,fieldPath=`.gateway.networks`,message=`must name networks of spec.networks`,messageExpression=`'%s is not one of spec.networks, which are %s'.format([self.gateway.networks.filter(a, !self.networks.exists(n, n.name == a.name)).map(a, a.name), self.networks.map(n, n.name)])`
// +kubebuilder:validation:XValidation:rule=`!self.services.exists(s, s.networks.exists(a, !self.networks.exists(n, n.name == a.name)))`,fieldPath=`.services`,message=`must name networks of spec.networks`,messageExpression=`'%s is not one of spec.networks, which are %s'.format([self.services.map(s, s.networks.filter(a, !self.networks.exists(n, n.name == a.name)).map(a, '%s of %s'.format([a.name, s.name]))).flatten(), self.networks.map(n, n.name)])`
// +kubebuilder:validation:XValidation:rule=`!has(self.gateway) || self.gateway.routes.all(r, self.services.exists(s, s.name == r.service))`,fieldPath=`.gateway.routes`,message=`must name services of spec.services`,messageExpression=`'%s is not one of spec.services, which are %s'.format([self.gateway.routes.filter(r, !self.services.exists(s, s.name == r.service)).map(r, '%s of route %s'.format([r.service, r.path])), self.services.map(s, s.name)])`
// +kubebuilder:validation:XValidation:rule=`!self.services.exists(s, has(s.volumeMounts) && s.volumeMounts.exists(m, (!has(self.volumes) || !self.volumes.exists(v, v.name == m.volume))))`,fieldPath=`.services`,message=`must name volumes of spec.volumes`,messageExpression=`'%s is not one of spec.volumes'.format([self.services.map(s, has(s.volumeMounts), s.volumeMounts.filter(m, (!has(self.volumes) || !self.volumes.exists(v, v.name == m.volume))).map(m, '%s of %s'.format([m.volume, s.name]))).flatten()])`
// +kubebuilder:validation:XValidation:rule=`!has(self.gateway) || !self.gateway.routes.exists(r, self.services.exists(s, s.name == r.service) && !self.services.exists(s, s.name == r.service && s.networks.exists(a, self.gateway.networks.exists(g, g.name == a.name))))`,fieldPath=`.gateway.routes`,message=`the service of a route must share a network with the gateway`,messageExpression=`'%s shares no network with the gateway, which joins %s'.format([self.gateway.routes.filter(r, self.services.exists(s, s.name == r.service) && !self.services.exists(s, s.name == r.service && s.networks.exists(a, self.gateway.networks.exists(g, g.name == a.name)))).map(r, '%s of route %s'.format([r.service, r.path])), self.gateway.networks.map(a, a.name)])`
// +kubebuilder:validation:XValidation:rule=`!has(self.gateway) || self.gateway.networks.exists(a, self.networks.all(n, n.name != a.name || !n.?internal.orValue(false)))`,fieldPath=`.gateway.networks`,message=`one of the networks must not be internal, else the host ports lead nowhere`
// +kubebuilder:validation:XValidation:rule=`!has(self.volumes) || self.volumes.all(v, self.services.filter(s, has(s.volumeMounts) && s.volumeMounts.exists(m, m.volume == v.name && !m.?readOnly.orValue(false))).size() <= 1)`,fieldPath=`.services`,message=`a volume must be mounted for writing by one service at most; set readOnly in the others`,messageExpression=`'%s is mounted for writing by more than one service; set readOnly in the others'.format([self.volumes.filter(v, self.services.filter(s, has(s.volumeMounts) && s.volumeMounts.exists(m, m.volume == v.name && !m.?readOnly.orValue(false))).size() > 1).map(v, v.name)])`
// +kubebuilder:validation:XValidation:rule=`!self.networks.exists(n, isCIDR(n.subnet) && cidr(n.subnet).prefixLength() in [21, 22, 23, 24, 25, 26, 27, 28] && ((has(self.gateway) && self.gateway.networks.exists(a, a.name == n.name) ? 1 : 0) + self.services.filter(s, s.networks.exists(a, a.name == n.name)).map(s, s.?replicas.orValue(1)).sum()) >= [1023, 511, 255, 127, 63, 31, 15, 7][cidr(n.subnet).prefixLength() - 21])`,fieldPath=`.networks`,message=`the upper half of a subnet must have an address for each pod, and one more for updates`,messageExpression=`'%s is too small: each pod needs an address of the upper half of its network, and one more during an update'.format([self.networks.filter(n, isCIDR(n.subnet) && cidr(n.subnet).prefixLength() in [21, 22, 23, 24, 25, 26, 27, 28] && ((has(self.gateway) && self.gateway.networks.exists(a, a.name == n.name) ? 1 : 0) + self.services.filter(s, s.networks.exists(a, a.name == n.name)).map(s, s.?replicas.orValue(1)).sum()) >= [1023, 511, 255, 127, 63, 31, 15, 7][cidr(n.subnet).prefixLength() - 21]).map(n, '%s of %s for %d pods'.format([n.subnet, n.name, ((has(self.gateway) && self.gateway.networks.exists(a, a.name == n.name) ? 1 : 0) + self.services.filter(s, s.networks.exists(a, a.name == n.name)).map(s, s.?replicas.orValue(1)).sum())]))])`
// +kubebuilder:validation:XValidation:rule=`!self.services.exists(s, has(s.metricsPort) && self.services.exists(t, t.name == s.name + '-pods'))`,fieldPath=`.services`,message=`must not be called NAME-pods where NAME is a service with a metricsPort`,messageExpression=`'%s'.format([self.services.filter(s, has(s.metricsPort) && self.services.exists(t, t.name == s.name + '-pods')).map(s, '%s-pods is where the pods of %s are found; call the other service something else'.format([s.name, s.name]))])`
type MockupStackSpec struct {
	// networks that the gateway and the services join by name.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule=`!self.exists(a, self.exists(b, a.name != b.name && isCIDR(a.subnet) && isCIDR(b.subnet) && (cidr(a.subnet).containsIP(cidr(b.subnet).ip()) || cidr(b.subnet).containsIP(cidr(a.subnet).ip()))))`,message=`subnets must not overlap`,messageExpression=`'subnets %s overlap'.format([self.filter(a, self.exists(b, a.name != b.name && isCIDR(a.subnet) && isCIDR(b.subnet) && (cidr(a.subnet).containsIP(cidr(b.subnet).ip()) || cidr(b.subnet).containsIP(cidr(a.subnet).ip())))).map(a, '%s of %s'.format([a.subnet, a.name]))])`
	Networks []Network `json:"networks"`

	// volumes that outlive the containers which mount them.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule=`[self.filter(v, has(v.existing)).map(v, v.existing)].all(l, l.distinct().size() == l.size())`,message=`each existing volume must be adopted only once`,messageExpression=`[self.filter(v, has(v.existing)).map(v, v.existing)].map(l, '%s is adopted more than once'.format([l.filter(i, l.filter(j, j == i).size() > 1).distinct()]))[0]`
	Volumes []Volume `json:"volumes,omitempty"`

	// gateway is the nginx in front of the services. Without it, nothing is reachable from outside.
	// +optional
	Gateway *Gateway `json:"gateway,omitempty"`

	// services are the programs of the stack.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Services []Service `json:"services"`

	// revisionHistoryLimit is how many earlier specifications are kept, to which "mockup rollout undo" can go back; the
	// default is 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`
}

// Network is a layer 3 network of the stack.
//
// +kubebuilder:validation:XValidation:rule=`self.?internal.orValue(false) == oldSelf.?internal.orValue(false)`,fieldPath=`.internal`,reason=FieldValueForbidden,message=`can not be changed; remove the network and add one with another name`
type Network struct {
	// name by which services join, e.g. public.
	// +required
	// +kubebuilder:validation:MaxLength=24
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')`,message=`must consist of lower-case letters, digits and "-", begin with a letter and not end with "-"`
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^[0-9a-f]+$')`,message=`must not consist of the digits 0-9 and a-f alone, which Podman could take for an ID`,messageExpression=`'must not consist of the digits 0-9 and a-f alone, which Podman could take for an ID; "' + self + '-1" would do'`
	Name string `json:"name"`
	// subnet in CIDR notation, IPv4, with 8 to 28 prefix bits. Its lower half is for fixed addresses (the first is the
	// host's own), addresses from its upper half are given to pods as they come. It can not be changed later.
	// +required
	// +kubebuilder:validation:MaxLength=43
	// +kubebuilder:validation:XValidation:rule=`isCIDR(self) && cidr(self).ip().family() == 4`,message=`must be an IPv4 subnet in CIDR notation, e.g. 172.18.0.0/16`
	// +kubebuilder:validation:XValidation:rule=`!isCIDR(self) || cidr(self) == cidr(self).masked()`,message=`must be the address of a network, not of a host in it`,messageExpression=`'must be the address of a network, not of a host in it: %s'.format([string(cidr(self).masked())])`
	// +kubebuilder:validation:XValidation:rule=`!isCIDR(self) || cidr(self).ip().family() == 6 || (cidr(self).prefixLength() >= 8 && cidr(self).prefixLength() <= 28)`,message=`must have 8 to 28 prefix bits`
	// +kubebuilder:validation:XValidation:rule=`!isCIDR(self) || !['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'].exists(r, cidr(r).containsIP(cidr(self).ip()) || cidr(self).containsIP(cidr(r).ip()))`,message=`must not be loopback, link-local, multicast or reserved`
	// +kubebuilder:validation:XValidation:rule=`self == oldSelf`,reason=FieldValueForbidden,message=`can not be changed; remove the network and add one with another name`
	Subnet string `json:"subnet"`
	// internal networks have no way out and no host ports. It can not be changed later.
	// +optional
	Internal bool `json:"internal,omitempty"`
}

// NetworkAttachment joins a network.
type NetworkAttachment struct {
	// name of one of the stack's networks.
	// +required
	// +kubebuilder:validation:MaxLength=24
	Name string `json:"name"`
	// ip is a fixed address from the lower half of the network's subnet. Allowed with one replica only. On Podman it leads
	// to the pod that bears the service's name, and moves with the name when an update replaces the pod; on a cluster,
	// where addresses belong to nobody, it is reported as not portable.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule=`isIP(self) && ip(self).family() == 4`,message=`must be an IPv4 address, e.g. 172.18.0.3`
	IP string `json:"ip,omitempty"`
}

// MockupStackStatus is what runs, as last observed.
type MockupStackStatus struct {
	// observedGeneration is the metadata.generation that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// revision is the number of the specification among those that are kept; "mockup rollout history" lists them.
	// +optional
	Revision int64 `json:"revision,omitempty"`
	// conditions are Ready, Reconciling and Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// workloads that are ready, of those that should be, e.g. "3/4".
	// +optional
	Workloads string `json:"workloads,omitempty"`
	// url under which the gateway is reached from the host.
	// +optional
	URL string `json:"url,omitempty"`
	// gateway is the state of the gateway.
	// +optional
	Gateway *WorkloadStatus `json:"gateway,omitempty"`
	// services is the state of each service.
	// +optional
	// +listType=map
	// +listMapKey=name
	Services []WorkloadStatus `json:"services,omitempty"`
	// volumes is the state of each volume.
	// +optional
	// +listType=map
	// +listMapKey=name
	Volumes []VolumeStatus `json:"volumes,omitempty"`
	// refusals are the fields that the backend can't honour as written, or honours with a caveat.
	// +optional
	// +listType=atomic
	Refusals []Refusal `json:"refusals,omitempty"`
}

// WorkloadStatus is the state of the gateway or of one service.
type WorkloadStatus struct {
	// name as in the specification; "gateway" for the gateway.
	Name string `json:"name"`
	// phase is one of Pending, Progressing, Ready, NotReady, Failed, Terminating.
	Phase string `json:"phase"`
	// ready replicas of those wanted, e.g. "1/1".
	Ready string `json:"ready"`
	// updated replicas, those of the newest specification, of those wanted, e.g. "1/1".
	// +optional
	Updated string `json:"updated,omitempty"`
	// restartedAt is the newest request for a restart (annotation restart.mockup.dev/NAME of the stack) that this status
	// speaks of.
	// +optional
	RestartedAt string `json:"restartedAt,omitempty"`
	// restarts of the containers of the current pods.
	// +optional
	Restarts int32 `json:"restarts,omitempty"`
	// image that runs, after the image map.
	// +optional
	Image string `json:"image,omitempty"`
	// endpoints under which it is reached: by name inside the stack, on host ports from outside.
	// +optional
	// +listType=atomic
	Endpoints []string `json:"endpoints,omitempty"`
	// addresses of the ready pods, as network=ip.
	// +optional
	// +listType=atomic
	Addresses []string `json:"addresses,omitempty"`
	// reason why it is not ready.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message for a person.
	// +optional
	Message string `json:"message,omitempty"`
}

// VolumeStatus is the state of one volume.
type VolumeStatus struct {
	// name as in the specification.
	Name string `json:"name"`
	// phase is Pending, Ready, or Failed.
	Phase string `json:"phase"`
	// claim is the name of the PersistentVolumeClaim, or of the adopted volume.
	// +optional
	Claim string `json:"claim,omitempty"`
	// releasedFor is the restore in place, as POLICY/ID, for which no service mounts the volume any more. The restore begins
	// when it stands here.
	// +optional
	ReleasedFor string `json:"releasedFor,omitempty"`
	// message for a person.
	// +optional
	Message string `json:"message,omitempty"`
}

// Refusal is one thing asked for that the backend does not do as written. Nothing is dropped in silence.
type Refusal struct {
	// object as Kind/name.
	Object string `json:"object"`
	// path of the field in the object.
	Path string `json:"path"`
	// reason in one sentence.
	Reason string `json:"reason"`
}
