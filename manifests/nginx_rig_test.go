package manifests

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nginxBinary is the nginx to test with: MOCKUP_NGINX, or the one in PATH. It must be as new as http2 on, 1.25.1.
func nginxBinary(t *testing.T) string {
	t.Helper()
	binary := os.Getenv("MOCKUP_NGINX")
	if binary == "" {
		found, err := exec.LookPath("nginx")
		if err != nil {
			t.Skip("no nginx in PATH and none in MOCKUP_NGINX")
		}
		binary = found
	}
	version, err := exec.Command(binary, "-v").CombinedOutput()
	if err != nil {
		t.Fatalf("%s -v: %v: %s", binary, err, version)
	}
	var major, minor, patch int
	_, text, _ := strings.Cut(string(version), "nginx/")
	if _, err := fmt.Sscanf(text, "%d.%d.%d", &major, &minor, &patch); err != nil {
		t.Fatalf("%s -v says %q", binary, version)
	}
	if major*1000000+minor*1000+patch < 1025001 {
		t.Skipf("nginx %d.%d.%d is older than 1.25.1", major, minor, patch)
	}
	return binary
}

// rig runs a rendered configuration on loopback addresses, with its paths in a folder of the test.
type rig struct {
	t                   *testing.T
	dir, config         string
	http, https, status string // addresses
	dns                 *nameServer
	roots               *x509.CertPool
}

func newRig(t *testing.T, config string) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, dir: dir, dns: startNameServer(t)}
	r.http, r.https, r.status = freeAddress(t), freeAddress(t), freeAddress(t)
	for _, d := range []string{"tls", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.config = strings.NewReplacer(
		gatewayTLSDir, dir+"/tls", gatewayRunDir, dir+"/run", "_path /tmp/", "_path "+dir+"/tmp/", "/dev/stdout", dir+"/access.log",
		"listen 80 ", "listen "+r.http+" ", "listen 443 ", "listen "+r.https+" ", "listen 8081;", "listen "+r.status+"; set_real_ip_from 127.0.0.0/8; real_ip_header From;",
	).Replace(config)
	r.write("nginx.conf", r.config)
	r.write("run/resolver.conf", fmt.Sprintf("resolver %s valid=1s ipv6=off;\nmap \"\" $service_domain { default \"\"; }\n", r.dns.address))
	r.certificate()
	return r
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) certificate() {
	r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost", "*.example.com"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		r.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	r.write("tls/tls.crt", string(certificate))
	r.write("tls/ca.crt", string(certificate))
	r.write("tls/tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	r.roots = x509.NewCertPool()
	r.roots.AppendCertsFromPEM(certificate)
}

// check runs nginx -t and fails for warnings too.
func (r *rig) check(binary string) {
	r.t.Helper()
	out, err := exec.Command(binary, "-e", "stderr", "-t", "-c", r.dir+"/nginx.conf").CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("[warn]")) {
		r.t.Fatalf("nginx -t: %v\n%s", err, out)
	}
}

// start nginx and wait until it answers.
func (r *rig) start(binary string) {
	r.t.Helper()
	var log bytes.Buffer
	global := "daemon off;"
	if os.Geteuid() == 0 {
		global += " user root;" // a test's folder is for its own user alone
	}
	cmd := exec.Command(binary, "-e", "stderr", "-c", r.dir+"/nginx.conf", "-g", global)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if r.t.Failed() {
			r.t.Logf("nginx said:\n%s", log.String())
		}
	})
	r.eventually("answer of nginx's /healthz", func() bool {
		response, err := http.Get("http://" + r.status + "/healthz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// eventually probes for up to five seconds.
func (r *rig) eventually(what string, done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("no %s within 5 s", what)
		}
	}
}

// client talks to the rig whatever host and port a URL names, and follows no redirect.
func (r *rig) client(version2 bool) *http.Client {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.roots, ServerName: "localhost"}, ForceAttemptHTTP2: version2, DisableKeepAlives: true,
	}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, ":80") {
			return dialer.DialContext(ctx, network, r.http)
		}
		return dialer.DialContext(ctx, network, r.https)
	}
	return &http.Client{
		Transport: transport, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// nameServer answers for the names it is told, and knows no others.
type nameServer struct {
	address string
	mu      sync.Mutex
	names   map[string][][4]byte
}

func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &nameServer{address: conn.LocalAddr().String(), names: map[string][][4]byte{}}
	go s.serve(conn)
	return s
}

func (s *nameServer) set(name string, addresses ...[4]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[name+"."] = addresses
}

func (s *nameServer) serve(conn net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		if answer, err := s.answer(buffer[:n]); err == nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

func (s *nameServer) answer(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.Additionals = true, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	addresses, known := s.names[m.Questions[0].Name.String()]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addresses {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 3600},
			Body:   &dnsmessage.AResource{A: a},
		})
	}
	return m.Pack()
}
