package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Gateway is the nginx in front of the services.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.http) || self.http.hostPort != self.https.hostPort || (has(self.http.hostIP) && has(self.https.hostIP) && self.http.hostIP != self.https.hostIP && ![self.http.hostIP, self.https.hostIP].exists(i, i in ['0.0.0.0', '::']))`,fieldPath=`.http.hostPort`,message=`must differ from https.hostPort on the same address`
type Gateway struct {
	// image of nginx; the default is the one of mockup's catalogue. It must run the scripts of /docker-entrypoint.d, as
	// the official image does.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?/)?[a-z0-9]+(([.]|_{1,2}|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_{1,2}|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$')`,message=`must be an image reference without scheme or spaces, e.g. docker.io/library/nginx:1.29`
	Image string `json:"image,omitempty"`
	// networks that the gateway joins: those of the services it routes to, and at least one that is not internal.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Networks []NetworkAttachment `json:"networks"`
	// http is where plain HTTP is listened to; it redirects to HTTPS.
	// +optional
	HTTP *GatewayPort `json:"http,omitempty"`
	// https is where HTTPS is listened to.
	// +required
	HTTPS GatewayPort `json:"https"`
	// tls says where the certificate comes from.
	// +required
	TLS GatewayTLS `json:"tls"`
	// routes by host and path. The longest path wins; a route with a host goes before one without.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule=`[self.map(r, has(r.host) ? r.host + r.path : r.path)].all(l, l.distinct().size() == l.size())`,message=`routes must differ in host or path`,messageExpression=`[self.map(r, has(r.host) ? r.host + r.path : r.path)].map(l, 'two routes have the same host and path: %s'.format([l.filter(i, l.filter(j, j == i).size() > 1).distinct()]))[0]`
	Routes []Route `json:"routes"`
	// maxBodySize of a request, e.g. 10Mi; 413 beyond it. The default is 10Mi.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule=`quantity(string(self)).isInteger() && quantity(string(self)).isGreaterThan(quantity('0'))`,message=`must be a whole number of bytes above 0, e.g. 10Mi`
	MaxBodySize *resource.Quantity `json:"maxBodySize,omitempty"`
	// timeouts towards the services.
	// +optional
	Timeouts GatewayTimeouts `json:"timeouts,omitzero"`
	// resources of the container; the default is a small gateway's.
	// +optional
	Resources *Resources `json:"resources,omitempty"`
}

// GatewayPort is a port on the host.
type GatewayPort struct {
	// hostPort on which the gateway is reached.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	HostPort int32 `json:"hostPort"`
	// hostIP to listen on; the default is every address of the host.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule=`isIP(self)`,message=`must be an IP address, e.g. 127.0.0.1`
	HostIP string `json:"hostIP,omitempty"`
}

// GatewayTLS says where the gateway's certificate comes from: exactly one of its fields is set.
//
// +kubebuilder:validation:XValidation:rule=`has(self.secretName) != has(self.selfSigned)`,message=`exactly one of secretName and selfSigned must be set`
type GatewayTLS struct {
	// secretName of a Secret of type kubernetes.io/tls in the stack's namespace.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')`,message=`must be the name of an object: lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit`
	SecretName string `json:"secretName,omitempty"`
	// selfSigned has the operator make a certificate authority and a certificate, and renew the latter in time. The
	// authority's certificate is offered at http://HOST/.well-known/mockup/ca.crt and by `mockup ca`.
	// +optional
	SelfSigned *SelfSigned `json:"selfSigned,omitempty"`
}

// SelfSigned is a certificate made by the operator.
type SelfSigned struct {
	// dnsNames, or IP addresses, that the certificate is for.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule=`isIP(self) || (self.startsWith('*.') ? self.substring(2) : self).matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$')`,message=`must be a DNS name in lower case, or an IP address`
	DNSNames []string `json:"dnsNames"`
}

// GatewayTimeouts towards the services.
type GatewayTimeouts struct {
	// connect to a service; the default is 5s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('1h')`,message=`must be a duration from 1ms to 1h, e.g. 30s`
	Connect *metav1.Duration `json:"connect,omitempty"`
	// read is the longest pause between two reads of a response; the default is 60s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('1h')`,message=`must be a duration from 1ms to 1h, e.g. 30s`
	Read *metav1.Duration `json:"read,omitempty"`
	// send is the longest pause between two writes of a request; the default is 60s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('1h')`,message=`must be a duration from 1ms to 1h, e.g. 30s`
	Send *metav1.Duration `json:"send,omitempty"`
}

// Route sends requests to a service.
//
// +kubebuilder:validation:XValidation:rule=`!self.?stripPath.orValue(false) || self.path.endsWith('/')`,fieldPath=`.stripPath`,message=`needs a path that ends with "/", so that whole path elements are taken off`,messageExpression=`'needs a path that ends with "/", so that whole path elements are taken off: "' + self.path + '/"'`
type Route struct {
	// host that the request names, e.g. files.example.com, or *.example.com for all hosts below; the default is any.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`(self.startsWith('*.') ? self.substring(2) : self).matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$')`,message=`must be a DNS name in lower case, e.g. files.example.com or *.example.com`
	Host string `json:"host,omitempty"`
	// path prefix, beginning with "/". One that ends with "/" matches whole path elements, so "/a/" matches "/a/b" but
	// not "/ab".
	// +required
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.matches('^/[a-zA-Z0-9/._~-]*$')`,message=`must begin with "/" and consist of letters, digits and / . _ ~ -`
	// +kubebuilder:validation:XValidation:rule=`!self.contains('//') && !self.matches('/[.]{1,2}(/|$)')`,message=`must not contain "//" nor path elements "." and ".."`
	// +kubebuilder:validation:XValidation:rule=`!self.startsWith('/.well-known/mockup')`,message=`must not begin with /.well-known/mockup, where the gateway offers its certificate authority`
	Path string `json:"path"`
	// stripPath takes the path prefix, which must end with "/", off before the service sees the request and tells it in
	// X-Forwarded-Prefix. The default is false.
	// +optional
	StripPath bool `json:"stripPath,omitempty"`
	// service of the stack that answers.
	// +required
	// +kubebuilder:validation:MaxLength=24
	Service string `json:"service"`
	// maxBodySize of a request on this route; the default is the gateway's.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule=`quantity(string(self)).isInteger() && quantity(string(self)).isGreaterThan(quantity('0'))`,message=`must be a whole number of bytes above 0, e.g. 10Mi`
	MaxBodySize *resource.Quantity `json:"maxBodySize,omitempty"`
	// allowFrom are the networks, in CIDR notation, whose clients may use this route; 403 for all others. The default
	// is everyone.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule=`isCIDR(self)`,message=`must be a network in CIDR notation, e.g. 10.0.0.0/8`
	// +kubebuilder:validation:items:XValidation:rule=`!isCIDR(self) || cidr(self) == cidr(self).masked()`,message=`must be the address of a network, not of a host in it`,messageExpression=`'must be the address of a network, not of a host in it: %s'.format([string(cidr(self).masked())])`
	AllowFrom []string `json:"allowFrom,omitempty"`
}
