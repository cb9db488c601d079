package controlplane

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	caLifetime   = 20 * 365 * 24 * time.Hour
	leafLifetime = 5 * 365 * 24 * time.Hour
	// renewBefore is how long before its end a certificate is replaced. A year, so that a client that read the
	// kubeconfig once can run on for as long.
	renewBefore = 365 * 24 * time.Hour
	// clockSkew backdates certificates, for clients whose clock is behind (a virtual machine just resumed).
	clockSkew = time.Hour
)

// serverNames are the names and addresses under which the API server may be called.
var serverNames = []string{"localhost", bindAddress, "::1", "kubernetes", "kubernetes.default.svc", "host.containers.internal"}

// identity is a certificate with its key, as they lie in NAME.crt and NAME.key.
type identity struct {
	certFile, keyFile string
	certPEM, keyPEM   []byte
	cert              *x509.Certificate
	key               *ecdsa.PrivateKey
}

// identities is all that the control plane signs and shows.
type identities struct {
	ca, server, admin *identity
	// serviceAccountKey signs the tokens of service accounts.
	serviceAccountKey string
}

// ensureIdentities loads what is in dir and replaces whatever is missing, damaged, near its end at now, or not signed by
// the certificate authority that is there. Replacing the authority therefore replaces everything below it.
func ensureIdentities(dir string, now time.Time) (*identities, error) {
	ca, err := ensureIdentity(dir, "ca", nil, now, &x509.Certificate{
		Subject:               pkix.Name{CommonName: "mockup-ca"},
		NotAfter:              now.Add(caLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	})
	if err != nil {
		return nil, err
	}
	names, addresses := splitNames(serverNames)
	server, err := ensureIdentity(dir, "server", ca, now, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		NotAfter:    now.Add(leafLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    names,
		IPAddresses: addresses,
	})
	if err != nil {
		return nil, err
	}
	admin, err := ensureIdentity(dir, "admin", ca, now, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "mockup-admin", Organization: []string{"system:masters"}},
		NotAfter:    now.Add(leafLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	serviceAccountKey := filepath.Join(dir, "sa.key")
	if err := ensureKey(serviceAccountKey); err != nil {
		return nil, err
	}
	return &identities{ca: ca, server: server, admin: admin, serviceAccountKey: serviceAccountKey}, nil
}

// ensureIdentity loads NAME.crt and NAME.key, or issues them anew as template says. A nil issuer means self-signed.
func ensureIdentity(dir, name string, issuer *identity, now time.Time, template *x509.Certificate) (*identity, error) {
	id := &identity{certFile: filepath.Join(dir, name+".crt"), keyFile: filepath.Join(dir, name+".key")}
	if id.load() == nil && id.usable(issuer, now, template) {
		return id, nil
	}
	if err := id.issue(issuer, now, template); err != nil {
		return nil, fmt.Errorf("issuing certificate %s: %w", name, err)
	}
	return id, nil
}

func (id *identity) load() (err error) {
	if id.certPEM, err = os.ReadFile(id.certFile); err != nil {
		return err
	}
	if id.keyPEM, err = os.ReadFile(id.keyFile); err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(id.certPEM, id.keyPEM) // also refuses a key that is not the certificate's
	if err != nil {
		return err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return errors.New("not an ECDSA key")
	}
	id.cert, id.key = pair.Leaf, key
	return nil
}

// usable says whether a loaded certificate can go on serving in the place of template.
func (id *identity) usable(issuer *identity, now time.Time, template *x509.Certificate) bool {
	if issuer != nil && id.cert.CheckSignatureFrom(issuer.cert) != nil {
		return false
	}
	for _, name := range template.DNSNames {
		if id.cert.VerifyHostname(name) != nil {
			return false
		}
	}
	for _, address := range template.IPAddresses {
		if id.cert.VerifyHostname(address.String()) != nil {
			return false
		}
	}
	return now.After(id.cert.NotBefore) && now.Add(renewBefore).Before(id.cert.NotAfter)
}

// issue makes a new key and certificate. The key is written first: a crash in between leaves a pair that does not match,
// which load refuses, so the next start issues both again.
func (id *identity) issue(issuer *identity, now time.Time, template *x509.Certificate) error {
	key, keyPEM, err := newKey()
	if err != nil {
		return err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return err
	}
	template.NotBefore = now.Add(-clockSkew)
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return err
	}
	if err := writeFile(id.keyFile, keyPEM, 0o600); err != nil {
		return err
	}
	if err := writeFile(id.certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return err
	}
	return id.load()
}

// ensureKey makes sure that file holds a private key.
func ensureKey(file string) error {
	if content, err := os.ReadFile(file); err == nil {
		if block, _ := pem.Decode(content); block != nil {
			if _, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
				return nil
			}
		}
	}
	_, content, err := newKey()
	if err != nil {
		return err
	}
	return writeFile(file, content, 0o600)
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generating a key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a key: %w", err)
	}
	var content bytes.Buffer
	if err := pem.Encode(&content, &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}); err != nil {
		return nil, nil, err
	}
	return key, content.Bytes(), nil
}

func splitNames(all []string) (names []string, addresses []net.IP) {
	for _, n := range all {
		if ip := net.ParseIP(n); ip != nil {
			addresses = append(addresses, ip)
		} else {
			names = append(names, n)
		}
	}
	return names, addresses
}
