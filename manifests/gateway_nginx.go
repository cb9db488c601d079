package manifests

import (
	_ "embed" // the configuration and the script
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

//go:embed files/nginx.conf.tmpl
var nginxText string

//go:embed files/resolver.envsh
var resolverScript string

var nginxTemplate = template.Must(template.New("nginx.conf").Parse(nginxText))

// nginxValues are what the template is filled with. All that a user wrote in it has passed validateStack, which lets
// nothing through that means anything to nginx beyond itself.
type nginxValues struct {
	RunDir, TLSDir string
	// ShutdownTimeout is what requests in flight have left when nginx stops, or when it reloads.
	ShutdownTimeout     string
	HTTPPort, HTTPSPort int
	StatusPort          int
	MaxBodySize         string
	Connect, Read, Send string
	SelfSigned          bool
	// StrictTransport forbids plain HTTP for a year. Browsers forget the ports by it and remember it for all of a host,
	// so it is only for standard ports and a certificate that was not made here.
	StrictTransport bool
	Redirect        *nginxRedirect
	Servers         []nginxServer
	// Sampled are the lines that say which traces begun here are sampled; none for all.
	Sampled []string
}

// nginxRedirect has the lines of a map from the Host header to the port of the HTTPS address, ":" included.
type nginxRedirect struct{ Ports []string }

// nginxServer is a virtual host; without a host, the one for all others.
type nginxServer struct {
	Host      string
	Locations []nginxLocation
	// Unmatched is true if there are paths that no location takes.
	Unmatched bool
}

type nginxLocation struct {
	Path, Service string
	Port          int32
	// Prefix is taken off by StripPattern, if that is set.
	Prefix, StripPattern string
	MaxBodySize          string
	AllowFrom            []string
}

func nginxConfig(g *v1alpha1.Gateway, services []v1alpha1.Service, tracing *Tracing) (string, error) {
	sampled, err := tracing.sampled()
	if err != nil {
		return "", err
	}
	values := nginxValues{
		RunDir: gatewayRunDir, TLSDir: gatewayTLSDir,
		ShutdownTimeout: gatewayDrain.String(),
		HTTPPort:        gatewayHTTPPort, HTTPSPort: gatewayHTTPSPort, StatusPort: gatewayStatusPort,
		MaxBodySize:     nginxSize(g.MaxBodySize, gatewayMaxBodySize),
		Connect:         nginxTime(g.Timeouts.Connect, gatewayConnect),
		Read:            nginxTime(g.Timeouts.Read, gatewayRead),
		Send:            nginxTime(g.Timeouts.Send, gatewaySend),
		SelfSigned:      g.TLS.SecretName == "",
		StrictTransport: g.TLS.SecretName != "" && g.HTTPS.HostPort == gatewayHTTPSPort && (g.HTTP == nil || g.HTTP.HostPort == gatewayHTTPPort),
		Servers:         nginxServers(g.Routes, services),
		Sampled:         sampled,
	}
	if g.HTTP != nil {
		values.Redirect = &nginxRedirect{Ports: redirectPorts(g.HTTP.HostPort, g.HTTPS.HostPort)}
	}
	var out strings.Builder
	if err := nginxTemplate.Execute(&out, values); err != nil {
		return "", fmt.Errorf("rendering the gateway's configuration: %w", err)
	}
	return out.String(), nil
}

// redirectPorts map a Host header, whose port tells by which way a client came, to the HTTPS port of the same way: from
// the host's own ports, or from the container's as seen on the stack's networks.
func redirectPorts(http, https int32) []string {
	target := ""
	if https != gatewayHTTPSPort {
		target = ":" + strconv.Itoa(int(https))
	}
	if http == gatewayHTTPPort {
		return []string{fmt.Sprintf("default %q", target)}
	}
	return []string{fmt.Sprintf(`"~:%d$" %q`, http, target), `default ""`}
}

// nginxSize in bytes.
func nginxSize(q *resource.Quantity, byDefault int64) string {
	if q == nil {
		return strconv.FormatInt(byDefault, 10)
	}
	return strconv.FormatInt(q.Value(), 10)
}

// nginxTime in milliseconds, at least one: to nginx, none would mean at once or for ever.
func nginxTime(d *metav1.Duration, byDefault time.Duration) string {
	if d != nil {
		byDefault = d.Duration
	}
	return strconv.FormatInt(max(byDefault.Milliseconds(), 1), 10) + "ms"
}

// nginxNetwork is a network without host bits, of which nginx would warn.
func nginxNetwork(cidr string) string {
	return netip.MustParsePrefix(cidr).Masked().String()
}
