package manifests

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"mockup.dev/mockup/api/v1alpha1"
)

// TestNginxAcceptsEveryConfiguration gives each configuration of the golden files to nginx -t.
func TestNginxAcceptsEveryConfiguration(t *testing.T) {
	binary := nginxBinary(t)
	tested := 0
	for _, o := range outputs(t) {
		for _, c := range o.configMaps {
			if config := c.Data[gatewayConfigFile]; config != "" {
				tested++
				t.Run(o.name, func(t *testing.T) { newRig(t, config).check(binary) })
			}
		}
	}
	for _, ratio := range []string{"0", "0.0001", "0.25", "0.9999"} {
		t.Run("a part of traces, "+ratio, func(t *testing.T) {
			_, config := traced(t, ratio, nil)
			if !strings.Contains(config, "split_clients") && ratio != "0" {
				t.Error("nginx is not told which part")
			}
			newRig(t, config).check(binary)
		})
	}
	if tested < 4 {
		t.Errorf("only %d configurations were tested", tested)
	}
}

// backend is a service behind the gateway. It keeps what it was asked.
type backend struct {
	port int32
	mu   sync.Mutex
	seen []*http.Request
}

func (b *backend) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	b.mu.Lock()
	b.seen = append(b.seen, q)
	b.mu.Unlock()
	switch {
	case strings.HasSuffix(q.URL.Path, "/hang-up"):
		panic(http.ErrAbortHandler)
	case strings.HasSuffix(q.URL.Path, "/redirect-inside"):
		w.Header().Set("X-Accel-Redirect", "/closed/")
	case strings.HasSuffix(q.URL.Path, "/own-headers"):
		w.Header().Set("X-Frame-Options", "DENY")
	case strings.HasSuffix(q.URL.Path, "/own-error"):
		http.Error(w, "the service's own", http.StatusNotFound)
		return
	case strings.HasSuffix(q.URL.Path, "/echo"):
		echo(w, q)
		return
	}
	_, _ = io.Copy(io.Discard, q.Body)
	fmt.Fprint(w, "hello")
}

// echo sends each line back as soon as it came.
func echo(w http.ResponseWriter, q *http.Request) {
	c := http.NewResponseController(w)
	_ = c.EnableFullDuplex()
	if length := q.URL.Query().Get("length"); length != "" {
		w.Header().Set("Content-Length", length)
	}
	for lines := bufio.NewScanner(q.Body); lines.Scan(); {
		fmt.Fprintln(w, lines.Text())
		_ = c.Flush()
	}
}

func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.seen)
}

func (b *backend) last() *http.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[len(b.seen)-1]
}

// gatewayRig runs a gateway with routes of every sort in front of one backend, whose name is not known at first.
func gatewayRig(t *testing.T) (*rig, *backend) {
	t.Helper()
	binary := nginxBinary(t)
	b := &backend{}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	g := &v1alpha1.Gateway{
		HTTP: &v1alpha1.GatewayPort{HostPort: 8080}, HTTPS: v1alpha1.GatewayPort{HostPort: 8443},
		TLS:         v1alpha1.GatewayTLS{SelfSigned: &v1alpha1.SelfSigned{}},
		MaxBodySize: quantity("1Ki"),
		Routes: []v1alpha1.Route{
			{Path: "/open/", Service: "web"},
			{Path: "/strip.me/", Service: "web", StripPath: true, MaxBodySize: quantity("1Mi")},
			{Path: "/closed/", Service: "web", AllowFrom: []string{"10.0.0.0/8"}},
			{Host: "a.example.com", Path: "/only/", Service: "web"},
			{Host: "*.example.com", Path: "/closed/", Service: "web"},
		},
	}
	b.port = int32(server.Listener.Addr().(*net.TCPAddr).Port)
	services := []v1alpha1.Service{{Name: "web", Port: b.port}}
	config, err := nginxConfig(g, services, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, config)
	r.check(binary)
	r.start(binary)
	return r, b
}

// do sends a request and reads its answer.
func (r *rig) do(method, url string, body io.Reader, header ...string) (*http.Response, string) {
	r.t.Helper()
	return r.send(r.client(false), method, url, body, header...)
}

func (r *rig) send(c *http.Client, method, url string, body io.Reader, header ...string) (*http.Response, string) {
	r.t.Helper()
	q, err := http.NewRequest(method, url, body)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	a, err := c.Do(q)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, url, err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, url, err)
	}
	return a, string(text)
}

func (r *rig) status200(url string) {
	r.t.Helper()
	if a, text := r.do("GET", url, nil); a.StatusCode != 200 {
		r.t.Errorf("GET %s: %s %s", url, a.Status, text)
	}
}

// up makes the backend's name known and waits for the gateway to find it.
func (r *rig) up() {
	r.t.Helper()
	r.dns.set("web", [4]byte{127, 0, 0, 1})
	r.eventually("answer of the service through the gateway", func() bool {
		a, _ := r.do("GET", "https://localhost/open/", nil)
		return a.StatusCode == 200
	})
}

// TestGatewayStartsBeforeItsServices sees a friendly 502, for programs and for people, until the name appears.
func TestGatewayStartsBeforeItsServices(t *testing.T) {
	r, _ := gatewayRig(t)
	a, text := r.do("GET", "https://localhost/open/", nil)
	var problem struct {
		Title     string
		Status    int
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(text), &problem); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if a.StatusCode != 502 || problem.Status != 502 || problem.Title != "Bad Gateway" || problem.RequestID != a.Header.Get("X-Request-ID") ||
		problem.RequestID == "" || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %v %s", a.Status, a.Header, text)
	}
	a, text = r.do("GET", "https://localhost/open/", nil, "Accept", "text/html,*/*")
	if a.StatusCode != 502 || a.Header.Get("Content-Type") != "text/html" || !strings.Contains(text, "<h1>Bad Gateway</h1>") {
		t.Errorf("%s %v %s", a.Status, a.Header, text)
	}
	r.up()
}

// TestGatewayFollowsNewAddresses moves the name to an address where nobody listens, and back.
func TestGatewayFollowsNewAddresses(t *testing.T) {
	r, _ := gatewayRig(t)
	r.up()
	r.dns.set("web", [4]byte{127, 0, 0, 9})
	r.eventually("502 from the new address", func() bool {
		a, _ := r.do("GET", "https://localhost/open/", nil)
		return a.StatusCode == 502
	})
	r.up()
}

func TestGatewayRoutes(t *testing.T) {
	r, b := gatewayRig(t)
	r.up()
	for _, c := range []struct{ url, uri, prefix string }{
		{"https://localhost/open/a%2Fb%20c?q=%41", "/open/a%2Fb%20c?q=%41", ""},
		{"https://localhost/strip.me/a%20b%3Fc%25/d?x=1&y=%2F", "/a%20b%3Fc%25/d?x=1&y=%2F", "/strip.me"},
		{"https://localhost/strip.me/", "/", "/strip.me"},
		{"https://localhost/strip.me/line%0Afeed", "/line%0Afeed", "/strip.me"},
		{"https://a.example.com/only/", "/only/", ""},
		{"https://a.example.com/closed/", "/closed/", ""}, // the pattern's route goes before that without a host
		{"https://b.example.com/open/", "/open/", ""},
	} {
		r.status200(c.url)
		if q := b.last(); q.RequestURI != c.uri || q.Header.Get("X-Forwarded-Prefix") != c.prefix {
			t.Errorf("%s came as %s with prefix %q", c.url, q.RequestURI, q.Header.Get("X-Forwarded-Prefix"))
		}
	}
	asked := b.count()
	for _, c := range []struct {
		url    string
		status int
	}{
		{"https://localhost/", 404},
		{"https://localhost/only/", 404},
		{"https://b.example.com/only/", 404},
		{"https://localhost/stripXme/", 404},
		{"https://localhost/closed/", 403},
		{"https://localhost/open/..%2fclosed/", 403},
		{"https://localhost/%63losed/x", 403},
		{"https://localhost//closed/", 403},
		{"https://localhost/open", 301},
	} {
		if a, text := r.do("GET", c.url, nil); a.StatusCode != c.status {
			t.Errorf("GET %s: %s %s", c.url, a.Status, text)
		}
	}
	if b.count() != asked {
		t.Errorf("%d requests reached the service that should not have", b.count()-asked)
	}
	if a, _ := r.do("GET", "https://localhost/open", nil); a.Header.Get("Location") != "/open/" {
		t.Errorf("redirected to %s, which may be another port", a.Header.Get("Location"))
	}
}

func TestGatewayHeaders(t *testing.T) {
	r, b := gatewayRig(t)
	r.up()
	forged := []string{"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "gopher", "X-Forwarded-Prefix", "/evil", "Forwarded", "for=6.6.6.6", "X-Request-ID", "forged"}
	a, _ := r.do("GET", "https://localhost:8443/open/own-headers", nil, forged...)
	h := b.last().Header
	want := map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost:8443", "X-Forwarded-Prefix": "",
		"Forwarded": "", "X-Request-Id": a.Header.Get("X-Request-ID"),
	}
	for k, v := range want {
		if h.Get(k) != v {
			t.Errorf("the service saw %s: %s, not %s", k, h.Get(k), v)
		}
	}
	if b.last().Host != "localhost:8443" {
		t.Errorf("the service saw host %s", b.last().Host)
	}
	for k, v := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "strict-origin-when-cross-origin", "Server": "nginx", "Strict-Transport-Security": ""} {
		if got := strings.Join(a.Header.Values(k), "|"); got != v {
			t.Errorf("the client saw %s: %q, not %q", k, got, v)
		}
	}
}

func TestGatewayPassesTraces(t *testing.T) {
	r, b := gatewayRig(t)
	r.up()
	valid := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	r.do("GET", "https://localhost/open/", nil, "traceparent", valid, "tracestate", "a=1")
	if h := b.last().Header; h.Get("traceparent") != valid || h.Get("tracestate") != "a=1" {
		t.Errorf("a valid traceparent came as %v", h)
	}
	made := regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-01$`)
	for _, invalid := range []string{"", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", `00-"`, valid + "x"} {
		a, _ := r.do("GET", "https://localhost/open/", nil, "traceparent", invalid, "tracestate", "a=1")
		h := b.last().Header
		if m := made.FindStringSubmatch(h.Get("traceparent")); m == nil || m[1] != a.Header.Get("X-Request-ID") || h.Get("tracestate") != "" {
			t.Errorf("traceparent %q came as %v", invalid, h)
		}
	}
}

func TestGatewayRefusesWhatItShould(t *testing.T) {
	r, _ := gatewayRig(t)
	r.up()
	if a, text := r.do("POST", "https://localhost/open/", strings.NewReader(strings.Repeat("x", 1025))); a.StatusCode != 413 || !strings.Contains(text, "Content Too Large") {
		t.Errorf("%s %s", a.Status, text)
	}
	if a, _ := r.do("POST", "https://localhost/strip.me/", strings.NewReader(strings.Repeat("x", 1<<20))); a.StatusCode != 200 {
		t.Errorf("a route's own limit does not hold: %s", a.Status)
	}
	if _, text := r.do("GET", "https://localhost/open/redirect-inside", nil); text != "hello" {
		t.Errorf("a service redirected inside the gateway: %s", text)
	}
	if a, text := r.do("GET", "https://localhost/open/own-error", nil); a.StatusCode != 404 || text != "the service's own\n" {
		t.Errorf("the service's own error became %s %s", a.Status, text)
	}
}

// TestGatewayAsksOnce has a service at two addresses hang up on a request, which the second must not see.
func TestGatewayAsksOnce(t *testing.T) {
	r, b := gatewayRig(t)
	r.up()
	second, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", b.port))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: b}
	go func() { _ = server.Serve(second) }()
	t.Cleanup(func() { _ = server.Close() })
	r.dns.set("web", [4]byte{127, 0, 0, 1}, [4]byte{127, 0, 0, 2})
	r.eventually("request at the second address", func() bool {
		r.do("GET", "https://localhost/open/", nil)
		return b.last().Context().Value(http.LocalAddrContextKey).(net.Addr).String() == second.Addr().String()
	})
	before := b.count()
	if a, _ := r.do("GET", "https://localhost/open/hang-up", nil); a.StatusCode != 502 || b.count() != before+1 {
		t.Errorf("%s after %d tries", a.Status, b.count()-before)
	}
}

func TestGatewayPlainHTTP(t *testing.T) {
	r, _ := gatewayRig(t)
	for url, location := range map[string]string{
		"http://localhost:8080/a%20b?c=d": "https://localhost:8443/a%20b?c=d", // as on the host
		"http://172.18.0.3/x":             "https://172.18.0.3/x",             // as on the stack's networks
	} {
		q, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host, q.URL.Host = q.URL.Host, "localhost:80"
		a, err := r.client(false).Do(q)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != 308 || a.Header.Get("Location") != location {
			t.Errorf("%s leads to %s %s", url, a.Status, a.Header.Get("Location"))
		}
	}
	a, text := r.do("GET", "http://localhost/.well-known/mockup/ca.crt", nil)
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/x-x509-ca-cert" || !strings.HasPrefix(text, "-----BEGIN CERTIFICATE") {
		t.Errorf("%s %v %s", a.Status, a.Header, text)
	}
	q, err := http.NewRequest("GET", "http://"+r.https+"/open/?x", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err = http.DefaultTransport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if a.StatusCode != 308 || a.Header.Get("Location") != "https://"+r.https+"/open/?x" {
		t.Errorf("plain HTTP on the HTTPS port leads to %s %s", a.Status, a.Header.Get("Location"))
	}
}

func TestGatewayTLS(t *testing.T) {
	r, _ := gatewayRig(t)
	r.up()
	if a, _ := r.send(r.client(true), "GET", "https://localhost/open/", nil); a.ProtoMajor != 2 {
		t.Errorf("spoke %s", a.Proto)
	}
	for suite, modern := range map[uint16]bool{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: true, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: false} {
		c, err := tls.Dial("tcp", r.https, &tls.Config{
			RootCAs: r.roots, ServerName: "localhost", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite},
		})
		if err == nil {
			c.Close()
		}
		if (err == nil) != modern {
			t.Errorf("%s: %v", tls.CipherSuiteName(suite), err)
		}
	}
}

// TestGatewayStreams holds a request open and reads the answer to its first line before the second is written, of an
// answer in chunks and of one whose length is known.
func TestGatewayStreams(t *testing.T) {
	r, _ := gatewayRig(t)
	r.up()
	for _, query := range []string{"", "?length=13"} {
		body, out := io.Pipe()
		defer out.Close()
		q, err := http.NewRequest("POST", "https://localhost/open/echo"+query, body)
		if err != nil {
			t.Fatal(err)
		}
		go fmt.Fprintln(out, "first")
		a, err := r.client(true).Do(q)
		if err != nil {
			t.Fatalf("no answer while the request is open: %v", err)
		}
		defer a.Body.Close()
		lines := bufio.NewReader(a.Body)
		for _, want := range []string{"first\n", "second\n"} {
			if got, err := lines.ReadString('\n'); got != want {
				t.Fatalf("%q: got %q, %v", query, got, err)
			}
			go fmt.Fprintln(out, "second")
		}
	}
}

// A pod of a cluster has an address that is in no network of the stack.
func TestGatewayStatus(t *testing.T) {
	r, _ := gatewayRig(t)
	request, err := http.NewRequest(http.MethodGet, "http://"+r.status+"/stub_status", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("From", "10.244.0.21")
	a, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if text, _ := io.ReadAll(a.Body); !strings.HasPrefix(string(text), "Active connections:") {
		t.Errorf("%s %s", a.Status, text)
	}
}

func TestGatewayLogs(t *testing.T) {
	r, _ := gatewayRig(t)
	r.up()
	a, _ := r.do("GET", `https://localhost/open/%22quoted%22?password=secret`, nil, "User-Agent", "odd\"one\\")
	r.do("GET", "https://localhost/nowhere", nil)
	r.eventually("both lines of the log", func() bool { // each is written after its answer, so that either may be the first
		text, err := os.ReadFile(r.dir + "/access.log")
		return err == nil && strings.Contains(string(text), "quoted") && strings.Contains(string(text), "/nowhere") && text[len(text)-1] == '\n'
	})
	text, err := os.ReadFile(r.dir + "/access.log")
	if err != nil || strings.Contains(string(text), "secret") {
		t.Fatalf("%v, or the query was logged: %s", err, text)
	}
	lines := map[string]map[string]any{}
	for _, l := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var entry map[string]any
		if err := json.Unmarshal([]byte(l), &entry); err != nil {
			t.Fatalf("%v: %s", err, l)
		}
		lines[entry["path"].(string)] = entry
	}
	id := a.Header.Get("X-Request-ID")
	quoted := lines["/open/%22quoted%22"]
	want := map[string]any{"level": "info", "status": "ok", "code": 200.0, "method": "GET", "host": "localhost", "request_id": id,
		"trace_id": id, "upstream_code": "200", "client": "127.0.0.1", "user_agent": "odd\"one\\", "bytes": 5.0}
	for k, v := range want {
		if quoted[k] != v {
			t.Errorf("%s is %v, not %v", k, quoted[k], v)
		}
	}
	if _, err := time.Parse(time.RFC3339, quoted["time"].(string)); err != nil {
		t.Error(err)
	}
	for _, k := range []string{"upstream", "upstream_seconds", "duration_seconds"} {
		if quoted[k] == nil || quoted[k] == "" {
			t.Errorf("%s is empty", k)
		}
	}
	if l := lines["/nowhere"]; l["level"] != "warn" || l["status"] != "ok" || l["code"] != 404.0 || l["upstream"] != "" {
		t.Errorf("%v", l)
	}
}

// TestGatewayLogsErrors finds a 502 where people look for errors.
func TestGatewayLogsErrors(t *testing.T) {
	r, _ := gatewayRig(t)
	r.do("GET", "https://localhost/open/", nil)
	var entry map[string]any
	r.eventually("line of the log", func() bool {
		text, err := os.ReadFile(r.dir + "/access.log")
		return err == nil && json.Unmarshal(text, &entry) == nil
	})
	if entry["level"] != "error" || entry["status"] != "error" || entry["code"] != 502.0 {
		t.Errorf("%v", entry)
	}
}
