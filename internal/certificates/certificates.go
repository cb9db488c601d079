// Package certificates makes a certificate authority and server certificates for gateways that bring none.
package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// Validity of what is made here. A server certificate is renewed when a third of its time is left.
const (
	AuthorityValidity = 10 * 365 * 24 * time.Hour
	ServerValidity    = 90 * 24 * time.Hour
	RenewBefore       = ServerValidity / 3
)

// clockSkew lets clocks that are a little behind accept a new certificate.
const clockSkew = time.Hour

// Pair is a certificate with its private key, both PEM.
type Pair struct {
	Certificate []byte
	Key         []byte
}

// NewAuthority makes a certificate authority that may sign server certificates and no other authority.
func NewAuthority(name string, now time.Time) (Pair, error) {
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name, Organization: []string{"mockup"}},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(AuthorityValidity),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return issue(template, nil, nil)
}

// NewServer makes a certificate for a server of these names, DNS names or IP addresses, signed by authority.
func NewServer(authority Pair, names []string, now time.Time) (Pair, error) {
	ca, key, err := parse(authority)
	if err != nil {
		return Pair{}, fmt.Errorf("reading the certificate authority: %w", err)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: names[0]},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(ServerValidity),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return issue(template, ca, key)
}

// ServerFits tells whether server is signed by authority, is for exactly these names and need not be renewed yet.
func ServerFits(authority, server Pair, names []string, now time.Time) bool {
	ca, _, err := parse(authority)
	if err != nil {
		return false
	}
	cert, _, err := parse(server)
	if err != nil || cert.CheckSignatureFrom(ca) != nil || now.After(cert.NotAfter.Add(-RenewBefore)) {
		return false
	}
	has := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		has = append(has, ip.String())
	}
	want := slices.Clone(names)
	slices.Sort(has)
	slices.Sort(want)
	return slices.Equal(has, want)
}

// AuthorityFits tells whether authority can be read and outlives what it would sign now.
func AuthorityFits(authority Pair, now time.Time) bool {
	ca, _, err := parse(authority)
	return err == nil && ca.IsCA && now.Add(ServerValidity).Before(ca.NotAfter)
}

// RenewAt is when a server certificate is to be renewed.
func RenewAt(server Pair) (time.Time, error) {
	cert, _, err := parse(server)
	if err != nil {
		return time.Time{}, err
	}
	return cert.NotAfter.Add(-RenewBefore), nil
}

// issue signs template by parent, or by itself when there is none.
func issue(template, parent *x509.Certificate, parentKey crypto.Signer) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("making a key: %w", err)
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return Pair{}, fmt.Errorf("choosing a serial number: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return Pair{}, fmt.Errorf("signing the certificate of %s: %w", template.Subject.CommonName, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encoding a key: %w", err)
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

func parse(p Pair) (*x509.Certificate, crypto.Signer, error) {
	certBlock, _ := pem.Decode(p.Certificate)
	keyBlock, _ := pem.Decode(p.Key)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, errors.New("certificate or key is not PEM")
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing a certificate: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing a key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("the key can't sign")
	}
	return cert, signer, nil
}
