package certificates

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// GatewaySecrets are the authority and the server certificate of a stack's gateway, in the form of Secrets. Those given
// are kept while they fit; changed tells whether either is new. Either may be nil.
func GatewaySecrets(s *v1alpha1.MockupStack, authority, server *corev1.Secret, now time.Time) (ca, tls *corev1.Secret, changed bool, err error) {
	names := s.Spec.Gateway.TLS.SelfSigned.DNSNames
	caPair, tlsPair := pairOf(authority), pairOf(server)
	if !AuthorityFits(caPair, now) {
		if caPair, err = NewAuthority("mockup "+s.Namespace+"/"+s.Name, now); err != nil {
			return nil, nil, false, fmt.Errorf("making the certificate authority: %w", err)
		}
		changed = true
	}
	if !ServerFits(caPair, tlsPair, names, now) {
		if tlsPair, err = NewServer(caPair, names, now); err != nil {
			return nil, nil, false, fmt.Errorf("making the gateway's certificate: %w", err)
		}
		changed = true
	}
	ca = secret(s, manifests.GatewayCAName(s.Name), caPair, nil)
	tls = secret(s, manifests.GatewayTLSName(s.Name), tlsPair, caPair.Certificate)
	return ca, tls, changed, nil
}

func secret(s *v1alpha1.MockupStack, name string, p Pair, ca []byte) *corev1.Secret {
	out := &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.Namespace, Labels: map[string]string{
			manifests.LabelManagedBy: manifests.ManagedBy,
			manifests.LabelPartOf:    s.Name,
		}},
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{manifests.KeyCertificate: p.Certificate, manifests.KeyPrivateKey: p.Key},
	}
	if ca != nil {
		out.Data[manifests.KeyCA] = ca
	}
	return out
}

func pairOf(s *corev1.Secret) Pair {
	if s == nil {
		return Pair{}
	}
	return Pair{Certificate: s.Data[manifests.KeyCertificate], Key: s.Data[manifests.KeyPrivateKey]}
}
