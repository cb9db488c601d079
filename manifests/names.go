package manifests

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// ComponentGateway is the name of the gateway wherever services go by theirs: in LabelComponent and in status.
const ComponentGateway = "gateway"

// Keys of a TLS Secret. KeyCA is there only when the operator made the certificate.
const (
	KeyCertificate = "tls.crt"
	KeyPrivateKey  = "tls.key"
	KeyCA          = "ca.crt"
)

// WorkloadName is the name of the Deployment of a component: a service, or ComponentGateway.
func WorkloadName(stack, component string) string { return stack + "-" + component }

// ServiceName is the name of a component's Service and main container. A service has its own name, so that its peers
// reach it as they know it, whatever the stack is called. The gateway bears the stack's too: each stack of a namespace
// has one, nobody inside looks for it, and under plain kube play, where every container name is a DNS name, the
// gateways of two stacks on one network stay apart.
func ServiceName(stack, component string) string {
	if component == ComponentGateway {
		return WorkloadName(stack, ComponentGateway)
	}
	return component
}

// NetworkName is the name of the NetworkPolicy that is a network of the stack.
func NetworkName(stack, network string) string { return stack + "-" + network }

// ClaimName is the name of the PersistentVolumeClaim of a volume of the stack.
func ClaimName(stack, volume string) string { return stack + "-" + volume }

// GatewayConfigName is the name of the ConfigMap with the gateway's configuration. It is stable: nginx reloads it.
func GatewayConfigName(stack string) string { return WorkloadName(stack, ComponentGateway) + "-config" }

// GatewayTLSName is the name of the Secret with the gateway's certificate when the operator makes it.
func GatewayTLSName(stack string) string { return WorkloadName(stack, ComponentGateway) + "-tls" }

// GatewayCAName is the name of the Secret with the authority that signs that certificate. No pod mounts it.
func GatewayCAName(stack string) string { return WorkloadName(stack, ComponentGateway) + "-ca" }

// gatewayIngressName is the name of the NetworkPolicy that lets the outside in.
func gatewayIngressName(stack string) string {
	return WorkloadName(stack, ComponentGateway) + "-ingress"
}

// emptyDirName bears the name of the workload, since Podman keeps all emptyDirs under one roof by their bare names.
func emptyDirName(stack, component, use string) string {
	return WorkloadName(stack, component) + "-" + use
}

// digestedName is the name of a ConfigMap that no running program reloads: other content is another object.
func digestedName(stack, component, use string, data map[string]string) string {
	return WorkloadName(stack, component) + "-" + use + "-" + digestData(data)
}

// ConfigAnnotation is the annotation of a pod template that holds the digest of the ConfigMap or Secret name. The part
// of an annotation behind the slash has at most 63 characters, so a longer name is cut and told apart by a digest.
func ConfigAnnotation(name string) string {
	if len(name) > maxLabel {
		name = strings.TrimRight(name[:maxLabel-digestLength-1], ".-") + "-" + digest(name)
	}
	return AnnotationConfigPrefix + name
}

// maxLabel is the greatest length of a label value and of a DNS label, in characters (RFC 1123).
const maxLabel = 63

const digestLength = 10

// digest of parts, in lower-case hexadecimal digits. Parts are told apart, so that ("ab") is not ("a", "b").
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:digestLength]
}

func digestData(data map[string]string) string {
	var parts []string
	for _, key := range sortedKeys(data) {
		parts = append(parts, key, data[key])
	}
	return digest(parts...)
}
