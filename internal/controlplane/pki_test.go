package controlplane

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestIdentitiesAreKeptWhileTheyAreGood(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	first := mustIdentities(t, dir, now)
	again := mustIdentities(t, dir, now.Add(leafLifetime-renewBefore-time.Hour))
	if !bytes.Equal(first.server.certPEM, again.server.certPEM) || !bytes.Equal(first.admin.keyPEM, again.admin.keyPEM) {
		t.Error("certificates were replaced without need")
	}
	roots := x509.NewCertPool()
	roots.AddCert(first.ca.cert)
	for _, name := range serverNames {
		if _, err := first.server.cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("called as %s: %v", name, err)
		}
	}
	if _, err := first.admin.cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("admin: %v", err)
	}
}

func TestIdentitiesAreRenewedNearTheirEnd(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	first := mustIdentities(t, dir, now)

	later := mustIdentities(t, dir, now.Add(leafLifetime-renewBefore+time.Hour))
	if bytes.Equal(first.server.certPEM, later.server.certPEM) || bytes.Equal(first.admin.certPEM, later.admin.certPEM) {
		t.Error("a certificate with less than a year to go was not renewed")
	}
	if !bytes.Equal(first.ca.certPEM, later.ca.certPEM) {
		t.Error("the authority was renewed too early")
	}

	end := now.Add(caLifetime - renewBefore + time.Hour)
	last := mustIdentities(t, dir, end)
	if bytes.Equal(first.ca.certPEM, last.ca.certPEM) {
		t.Fatal("an authority with less than a year to go was not renewed")
	}
	if err := last.server.cert.CheckSignatureFrom(last.ca.cert); err != nil {
		t.Errorf("the server's certificate did not follow its authority: %v", err)
	}
}

// TestDamagedIdentitiesAreReplaced damages each file as a crash, a full disk or a careless copy would.
func TestDamagedIdentitiesAreReplaced(t *testing.T) {
	half := func(b []byte) []byte { return b[:len(b)/2] }
	empty := func([]byte) []byte { return nil }
	for _, file := range []string{"ca.crt", "ca.key", "server.crt", "server.key", "admin.crt", "admin.key", "sa.key"} {
		for name, damage := range map[string]func([]byte) []byte{"half": half, "empty": empty} {
			t.Run(file+" "+name, func(t *testing.T) {
				dir, now := t.TempDir(), time.Now()
				mustIdentities(t, dir, now)
				path := filepath.Join(dir, file)
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, damage(content), 0o600); err != nil {
					t.Fatal(err)
				}
				mended := mustIdentities(t, dir, now)
				for _, id := range []*identity{mended.server, mended.admin} {
					if err := id.load(); err != nil {
						t.Errorf("%s: %v", id.certFile, err)
					}
					if err := id.cert.CheckSignatureFrom(mended.ca.cert); err != nil {
						t.Errorf("%s: %v", id.certFile, err)
					}
				}
				key, err := os.ReadFile(mended.serviceAccountKey)
				if err != nil || !bytes.Contains(key, []byte("-----END EC PRIVATE KEY-----")) {
					t.Errorf("service account key: %v\n%s", err, key)
				}
			})
		}
	}
}

func TestKeyOfAnotherCertificateIsNoticed(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	mustIdentities(t, dir, now)
	admin, err := os.ReadFile(filepath.Join(dir, "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "server.key"), admin, 0o600); err != nil {
		t.Fatal(err)
	}
	if mended := mustIdentities(t, dir, now); bytes.Equal(mended.server.keyPEM, admin) {
		t.Error("the server kept a key that is not its own")
	}
}

func mustIdentities(t *testing.T, dir string, now time.Time) *identities {
	t.Helper()
	ids, err := ensureIdentities(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}
