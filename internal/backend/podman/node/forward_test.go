package node

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// greeter is a program of the node that greets whoever comes.
func greeter(t *testing.T, dir, greeting string) net.Listener {
	t.Helper()
	l, err := ListenPort(dir, 9405)
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			heard, _ := io.ReadAll(conn)
			_, _ = fmt.Fprintf(conn, "%s, %s", greeting, heard)
			_ = conn.Close()
		}
	}()
	return l
}

// says is what a pod hears at a port of the node after it has said who it is.
func (p *testPod) says(address string) (heard string, err error) {
	err = p.inside(func() error {
		conn, err := net.DialTimeout("tcp", address, second)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(2 * second))
		if _, err := io.WriteString(conn, p.Name); err != nil {
			return err
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			return err
		}
		text, err := io.ReadAll(conn)
		heard = string(text)
		return err
	})
	return heard, err
}

// A name of the node leads each pod of its owner to the node's address on its own network, and from there to the program
// that listens; nobody at the socket is nobody at the port.
func TestNodeService(t *testing.T) {
	first, second, pods := twoOwners(t)
	dir := t.TempDir()
	put, _ := startAgent(t, Options{Dir: dir})
	first.Services = []Service{{Name: "Operator", Port: 9405}}
	put(first)
	put(second)
	gateway := first.Networks[1].Gateway
	for _, name := range []string{"operator", "operator.default.svc.cluster.local"} {
		if got := found(pods["web"].ask("udp", gateway, name, dns.TypeA)); got != gateway.String() && got != first.Networks[0].Gateway.String() {
			t.Errorf("%s leads to %s", name, got)
		}
	}
	if got := found(pods["far"].ask("udp", second.Networks[0].Gateway, "operator.default", dns.TypeA)); strings.Contains(got, "10.") {
		t.Errorf("another owner's pod is led to %s", got)
	}
	address := net.JoinHostPort(gateway.String(), "9405")
	if heard, err := pods["web"].says(address); err == nil {
		t.Errorf("nobody listens, and says %q", heard)
	}
	old := greeter(t, dir, "hello")
	for _, greeting := range []string{"hello", "good day"} {
		if greeting == "good day" { // another program takes the first one's place, which then ends
			greeter(t, dir, greeting)
			must(t, old.Close())
		}
		if heard, err := pods["web"].says(address); err != nil || heard != greeting+", web" {
			t.Errorf("it says %q, %v", heard, err)
		}
	}
	first.Services = nil
	put(first)
	if got := found(pods["web"].ask("udp", gateway, "operator", dns.TypeA)); got == gateway.String() {
		t.Error("the name stays")
	}
	if heard, err := pods["web"].says(address); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("the port stays, and says %q, %v", heard, err)
	}
	for _, port := range []uint16{0, 53} {
		first.Services = []Service{{Name: "x", Port: port}}
		if err := first.validate(); !errors.As(err, new(*InvalidError)) {
			t.Errorf("port %d: %v", port, err)
		}
	}
}

// A killed agent's successor opens the ports again by itself.
func TestNodeServiceAfterAKill(t *testing.T) {
	first, _, pods := twoOwners(t)
	first.Services = []Service{{Name: "operator", Port: 9405}}
	c := newAgentClient(t, time.Minute)
	_, err := c.Put(t.Context(), first)
	must(t, err)
	greeter(t, c.dir, "hello")
	must(t, c.call(t.Context(), "POST", "/stop", nil, nil))
	address := net.JoinHostPort(first.Networks[1].Gateway.String(), "9405")
	eventually(t, 5*second, func() error {
		c.doubt() // nobody has told anything since
		if err := c.Start(t.Context()); err != nil {
			return err
		}
		heard, err := pods["web"].says(address)
		if err == nil && heard != "hello, web" {
			err = fmt.Errorf("it says %q", heard)
		}
		return err
	})
}

// An agent that ends because there is nothing to do any more may be asked by the last owner to forget it. It says of nothing
// that it is there, so that the next one is started, and waited for.
func TestEndingAgentIsNotThere(t *testing.T) {
	a, err := newAgent(Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	a.end()
	server := httptest.NewServer(newHandler(t.Context(), a, "build", func() {}))
	defer server.Close()
	for _, ask := range [][2]string{{"GET", "/version"}, {"DELETE", "/owners/MockupStack.ns.gone"}} {
		request, err := http.NewRequestWithContext(t.Context(), ask[0], server.URL+ask[1], nil)
		must(t, err)
		answer, err := server.Client().Do(request)
		must(t, err)
		if err := problem(answer); !errors.As(err, new(absentError)) {
			t.Errorf("%s is answered with %s", ask, answer.Status)
		}
		_ = answer.Body.Close()
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	empty, err := Usage(t.Context(), dir)
	must(t, err)
	const size = 1 << 20
	must(t, os.WriteFile(filepath.Join(dir, "file"), make([]byte, size), 0o600))
	must(t, os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "same")))
	sparse, err := os.Create(filepath.Join(dir, "sparse"))
	must(t, err)
	must(t, sparse.Truncate(100*size))
	must(t, sparse.Close())
	_, client := startAgent(t, Options{})
	for _, measure := range []func() (int64, error){
		func() (int64, error) { return Usage(t.Context(), dir) }, func() (int64, error) { return client.Usage(t.Context(), dir) },
	} {
		if used, err := measure(); err != nil || used-empty < size || used-empty > size+size/4 {
			t.Errorf("%d bytes more than %d, %v", used-empty, empty, err)
		}
	}
	if _, err := client.Usage(t.Context(), filepath.Join(dir, "nowhere")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a folder that is not there: %v", err)
	}
}
