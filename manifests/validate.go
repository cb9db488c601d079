package manifests

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"mockup.dev/mockup/api/v1alpha1"
)

// validateStack checks what rendering relies on, so that whatever it lets through can be rendered: the API server checks
// more, and with a schema, but is not always asked.
func validateStack(s *v1alpha1.MockupStack) error {
	v := &validator{stack: s, names: map[string]string{}, networks: map[string]netip.Prefix{}, volumes: map[string]bool{}, services: map[string]bool{}}
	v.owner()
	for i := range s.Spec.Networks {
		v.network(fmt.Sprintf("spec.networks[%d]", i), &s.Spec.Networks[i])
	}
	for i := range s.Spec.Volumes {
		v.volume(fmt.Sprintf("spec.volumes[%d]", i), &s.Spec.Volumes[i])
	}
	for i := range s.Spec.Services {
		v.service(fmt.Sprintf("spec.services[%d]", i), &s.Spec.Services[i])
	}
	if s.Spec.Gateway != nil {
		v.gateway("spec.gateway", s.Spec.Gateway)
	}
	return errors.Join(v.errs...)
}

type validator struct {
	stack    *v1alpha1.MockupStack
	errs     []error
	names    map[string]string // name that must be unique, with what for → field that has it
	networks map[string]netip.Prefix
	volumes  map[string]bool
	services map[string]bool
}

func (v *validator) reject(field, value, reason string) {
	v.errs = append(v.errs, &InvalidError{Field: field, Value: value, Reason: reason})
}

// unique claims a name for field among those of the same use.
func (v *validator) unique(use, name, field string) {
	key := use + "\x00" + name
	if other, taken := v.names[key]; taken {
		v.reject(field, name, fmt.Sprintf("is already the %s of %s", use, other))
		return
	}
	v.names[key] = field
}

// podmanVolume claims a name among Podman's volumes, where claims, emptyDirs and mounted ConfigMaps and Secrets all are.
func (v *validator) podmanVolume(name, field string) { v.unique("volume name on Podman", name, field) }

func (v *validator) owner() {
	owner := StackOwner(v.stack)
	v.serviceName("metadata.name", owner.Name)
	if reasons := validation.IsDNS1123Label(owner.Namespace); len(reasons) > 0 {
		v.reject("metadata.namespace", owner.Namespace, reasons[0])
	}
	if n := len(owner.String()); n > maxLabel {
		v.reject("metadata.name", owner.Name, fmt.Sprintf("is %d characters too long: with its namespace it makes a label of at most %d", n-maxLabel, maxLabel))
	}
}

// serviceName must do for a Service: a DNS label that begins with a letter (RFC 1035).
func (v *validator) serviceName(field, name string) {
	if reasons := validation.IsDNS1035Label(name); len(reasons) > 0 {
		v.reject(field, name, reasons[0])
	}
}

func (v *validator) label(field, name string) {
	if reasons := validation.IsDNS1123Label(name); len(reasons) > 0 {
		v.reject(field, name, reasons[0])
	}
}

// length of a name that the stack's name is part of.
func (v *validator) length(field, name, derived string) {
	if len(derived) > maxLabel {
		v.reject(field, name, fmt.Sprintf("is %d characters too long: %s may have at most %d", len(derived)-maxLabel, derived, maxLabel))
	}
}

func (v *validator) network(field string, n *v1alpha1.Network) {
	v.label(field+".name", n.Name)
	v.length(field+".name", n.Name, NetworkName(v.stack.Name, n.Name))
	v.unique("network policy", NetworkName(v.stack.Name, n.Name), field+".name")
	prefix, err := netip.ParsePrefix(n.Subnet)
	switch {
	case err != nil:
		v.reject(field+".subnet", n.Subnet, "is no subnet in CIDR notation, e.g. 172.18.0.0/16")
	case !prefix.Addr().Is4():
		v.reject(field+".subnet", n.Subnet, "is not IPv4")
	case prefix != prefix.Masked():
		v.reject(field+".subnet", n.Subnet, "has host bits set; did you mean "+prefix.Masked().String())
	}
	v.networks[n.Name] = prefix
}

func (v *validator) volume(field string, s *v1alpha1.Volume) {
	v.label(field+".name", s.Name)
	v.length(field+".name", s.Name, ClaimName(v.stack.Name, s.Name))
	v.podmanVolume(ClaimName(v.stack.Name, s.Name), field+".name")
	if s.Existing == "" && s.Size == nil {
		v.reject(field+".size", "", "is required unless existing is set")
	}
	v.positive(field+".size", s.Size)
	if !podmanName.MatchString(s.Existing) && s.Existing != "" {
		v.reject(field+".existing", s.Existing, "is no name of a Podman volume")
	}
	if s.ReclaimPolicy != "" && s.ReclaimPolicy != v1alpha1.ReclaimRetain && s.ReclaimPolicy != v1alpha1.ReclaimDelete {
		v.reject(field+".reclaimPolicy", string(s.ReclaimPolicy), "is neither Retain nor Delete")
	}
	v.volumes[s.Name] = true
}

// podmanName is what Podman takes as the name of a volume (its define.NameRegex).
var podmanName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

func (v *validator) positive(field string, q *resource.Quantity) {
	if q != nil && q.Sign() <= 0 {
		v.reject(field, q.String(), "is not positive")
	}
}

func (v *validator) attachments(field string, attachments []v1alpha1.NetworkAttachment, replicas int32) {
	seen := map[string]bool{}
	for i, a := range attachments {
		at := fmt.Sprintf("%s[%d]", field, i)
		subnet, known := v.networks[a.Name]
		if !known {
			v.reject(at+".name", a.Name, "is no network of the stack")
		}
		if seen[a.Name] {
			v.reject(at+".name", a.Name, "is joined twice")
		}
		seen[a.Name] = true
		if a.IP == "" {
			continue
		}
		ip, err := netip.ParseAddr(a.IP)
		if err != nil || known && !subnet.Contains(ip) {
			v.reject(at+".ip", a.IP, fmt.Sprintf("is no address of network %s", a.Name))
			continue
		}
		if replicas > 1 {
			v.reject(at+".ip", a.IP, "can't be the address of more than one replica")
		}
		v.unique("address", ip.String(), at+".ip")
	}
}

// mountPath of a container, other than those that each has already. Podman reads options behind a colon.
func (v *validator) mountPath(field, p string) {
	if !path.IsAbs(p) || path.Clean(p) == "/" || path.Clean(p) == "/tmp" || strings.ContainsAny(p, ":\x00") {
		v.reject(field, p, `is no absolute path, or is "/" or "/tmp", or has a colon in it`)
	}
}
