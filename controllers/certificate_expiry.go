package controllers

import (
	"crypto/x509"
	"encoding/pem"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// expiry tells when the certificate of each gateway ends, whoever made it.
type expiry struct{ seconds *prometheus.GaugeVec }

// newExpiry is known to the metrics of controller-runtime from its first use; a second one shares it.
func newExpiry() (expiry, error) {
	seconds := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "mockup_certificate_expiry_timestamp_seconds",
		Help: "When the certificate of the stack's gateway ends, in seconds since 1970.",
	}, []string{"namespace", "stack"})
	err := metrics.Registry.Register(seconds)
	if already, ok := err.(prometheus.AlreadyRegisteredError); ok { //nolint:errorlint // it comes unwrapped
		if known, ok := already.ExistingCollector.(*prometheus.GaugeVec); ok {
			return expiry{known}, nil
		}
	}
	return expiry{seconds}, err
}

// note the certificate that the stack's gateway has, among the Secrets that it refers to.
func (e expiry) note(stack *v1alpha1.MockupStack, secrets map[string]*corev1.Secret) {
	if g := stack.Spec.Gateway; g != nil {
		name := g.TLS.SecretName
		if name == "" {
			name = manifests.GatewayTLSName(stack.Name)
		}
		if cert := certificateOf(secrets[name]); cert != nil {
			e.seconds.WithLabelValues(stack.Namespace, stack.Name).Set(float64(cert.NotAfter.Unix()))
			return
		}
	}
	e.forget(stack)
}

func (e expiry) forget(stack *v1alpha1.MockupStack) {
	e.seconds.DeleteLabelValues(stack.Namespace, stack.Name)
}

// certificateOf a TLS Secret is the first, which the gateway shows as its own; nil if it can't be read.
func certificateOf(s *corev1.Secret) *x509.Certificate {
	if s == nil {
		return nil
	}
	block, _ := pem.Decode(s.Data[manifests.KeyCertificate])
	if block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return cert
}
