package manifests

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"mockup.dev/mockup/api/v1alpha1"
)

func (v *validator) gateway(field string, g *v1alpha1.Gateway) {
	stack := v.stack.Name
	v.length("metadata.name", stack, GatewayConfigName(stack))
	v.unique("network policy", gatewayIngressName(stack), field)
	for _, use := range []string{"run", "tmp"} {
		v.podmanVolume(emptyDirName(stack, ComponentGateway, use), field)
	}
	v.podmanVolume(GatewayConfigName(stack), field)
	if g.Image != "" {
		v.image(field+".image", g.Image)
	}
	v.attachments(field+".networks", g.Networks, 1)
	v.hostPort(field+".https", &g.HTTPS)
	if g.HTTP != nil {
		v.hostPort(field+".http", g.HTTP)
		if g.HTTP.HostPort == g.HTTPS.HostPort && overlap(g.HTTP.HostIP, g.HTTPS.HostIP) {
			v.reject(field+".http.hostPort", fmt.Sprint(g.HTTP.HostPort), "is also the port of https")
		}
	}
	v.tls(field+".tls", &g.TLS)
	v.positive(field+".maxBodySize", g.MaxBodySize)
	v.timeout(field+".timeouts.connect", g.Timeouts.Connect)
	v.timeout(field+".timeouts.read", g.Timeouts.Read)
	v.timeout(field+".timeouts.send", g.Timeouts.Send)
	v.resources(field+".resources", g.Resources)
	for i := range g.Routes {
		v.route(fmt.Sprintf("%s.routes[%d]", field, i), &g.Routes[i])
	}
}

func (v *validator) hostPort(field string, p *v1alpha1.GatewayPort) {
	v.port(field+".hostPort", p.HostPort)
	if _, err := netip.ParseAddr(p.HostIP); p.HostIP != "" && err != nil {
		v.reject(field+".hostIP", p.HostIP, "is no IP address")
	}
}

// overlap tells whether two host addresses have one in common; the empty one is all of them.
func overlap(a, b string) bool { return a == b || a == "" || b == "" }

func (v *validator) tls(field string, t *v1alpha1.GatewayTLS) {
	if (t.SecretName != "") == (t.SelfSigned != nil) {
		v.reject(field, "", "needs exactly one of secretName and selfSigned")
		return
	}
	r := gatewayReference(v.stack.Name, &v1alpha1.Gateway{TLS: *t})
	v.reference(r)
	v.podmanVolume(r.Name, r.Field)
}

func (v *validator) timeout(field string, d *metav1.Duration) {
	if d != nil && (d.Duration < time.Millisecond || d.Duration > maxTimeout) {
		v.reject(field, d.Duration.String(), "is not between 1ms and 24h")
	}
}

func (v *validator) route(field string, r *v1alpha1.Route) {
	v.host(field+".host", r.Host)
	v.path(field+".path", r.Path)
	if r.StripPath && !strings.HasSuffix(r.Path, "/") {
		v.reject(field+".path", r.Path, `doesn't end with "/", and only whole path elements can be stripped`)
	}
	v.unique("route", r.Host+r.Path, field+".path")
	if !v.services[r.Service] {
		v.reject(field+".service", r.Service, "is no service of the stack")
	}
	v.positive(field+".maxBodySize", r.MaxBodySize)
	for i, cidr := range r.AllowFrom {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			v.reject(fmt.Sprintf("%s.allowFrom[%d]", field, i), cidr, "is no network in CIDR notation, e.g. 172.18.0.0/16")
		}
	}
}

// host is a name as nginx compares it: in lower case, without a port, and perhaps with "*" for its first part. Nothing
// but letters, digits, "-" and "." gets through beside that, so it is no second word to nginx.
func (v *validator) host(field, host string) {
	if host == "" {
		return
	}
	if reasons := validation.IsDNS1123Subdomain(strings.TrimPrefix(host, "*.")); len(reasons) > 0 {
		v.reject(field, host, "is no host name in lower case and without a port")
	}
}

// pathPattern leaves out all that means something to nginx inside quotes, and what no decoded path has.
var pathPattern = regexp.MustCompile(`^/[A-Za-z0-9/._~-]*$`)

func (v *validator) path(field, p string) {
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	if !pathPattern.MatchString(p) || clean != p || len(p) > 1024 {
		v.reject(field, p, `is no plain path: it begins with "/", has no empty element, "." or "..", and consists of letters, digits and "/._~-"`)
	}
}
