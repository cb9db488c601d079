package fileclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func clientOf(t *testing.T, address string) *Client {
	t.Helper()
	base, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return New(base)
}

// rudeServer reads a request's headers, counts it and hangs up.
func rudeServer(t *testing.T) (address string, requests *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	requests = &atomic.Int32{}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(connection)); err == nil {
				requests.Add(1)
			}
			connection.Close()
		}
	}()
	return "http://" + listener.Addr().String(), requests
}

func TestChangesAreSentOnce(t *testing.T) {
	changes := map[string]func(*Client) error{
		"upload": func(c *Client) error {
			_, err := c.Upload(context.Background(), "a", strings.NewReader("content"))
			return err
		},
		"empty upload": func(c *Client) error {
			_, err := c.Upload(context.Background(), "a", strings.NewReader(""))
			return err
		},
		"delete": func(c *Client) error { return c.Delete(context.Background(), "a") },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			address, requests := rudeServer(t)
			if err := change(clientOf(t, address)); !errors.Is(err, ErrUnavailable) {
				t.Errorf("error %v, want ErrUnavailable", err)
			}
			if got := requests.Load(); got != 1 {
				t.Errorf("sent %d times, want once", got)
			}
		})
	}
}

// A server may close a connection that it kept, at the moment at which a
// request is on its way: changes must not meet such a connection.
func TestChangesUseFreshConnections(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"name":"a"}`)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := clientOf(t, server.URL)
	for range 3 {
		if _, err := client.List(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("3 reads took %d connections, want 1", got)
	}
	for range 3 {
		if _, err := client.Upload(context.Background(), "a", strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	if got := connections.Load(); got != 4 {
		t.Errorf("3 uploads took %d connections, want 3", got-1)
	}
}

func TestErrors(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "problem"):
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"title":"Conflict","detail":"taken"}`)
		case strings.Contains(r.URL.Path, "plain"):
			http.Error(w, "no JSON", http.StatusBadGateway)
		default:
			fmt.Fprint(w, `not JSON either`)
		}
	}))
	defer server.Close()
	client := clientOf(t, server.URL)
	var refused *Error
	if err := client.Delete(context.Background(), "problem"); !errors.As(err, &refused) || refused.Status != 409 || refused.Detail != "taken" {
		t.Errorf("error %v, want 409 with its detail", err)
	}
	if err := client.Delete(context.Background(), "plain"); !errors.As(err, &refused) || refused.Status != 502 || refused.Detail != "Bad Gateway" {
		t.Errorf("error %v, want 502", err)
	}
	if _, err := client.List(context.Background()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
}

// It is not mime-server's fault when our own caller breaks off.
func TestBrokenSourceIsToldApart(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	broken := errors.New("the visitor left")
	source := io.MultiReader(strings.NewReader("half"), brokenReader{broken})
	_, err := clientOf(t, server.URL).Upload(context.Background(), "a", source)
	if !errors.Is(err, broken) || errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want the visitor's", err)
	}
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

func TestAddress(t *testing.T) {
	client := clientOf(t, "http://mime-server:8000/base/")
	tests := map[string]string{
		"a b/?c%.txt": "http://mime-server:8000/base/files/a%20b%2F%3Fc%25.txt?download=",
		"../x":        "http://mime-server:8000/base/files/..%2Fx?download=",
		"..":          "http://mime-server:8000/base/files/%2E%2E?download=",
	}
	for name, want := range tests {
		if got := client.address(name, url.Values{"download": {""}}); got != want {
			t.Errorf("address of %q is %s, want %s", name, got, want)
		}
	}
}

// A redirect must not pass for the deletion of a file.
func TestRedirectIsNoAnswer(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect))
	defer server.Close()
	var refused *Error
	if err := clientOf(t, server.URL).Delete(context.Background(), "a"); !errors.As(err, &refused) || refused.Status != 307 {
		t.Errorf("error %v, want a refusal by 307", err)
	}
}

// The name is looked up again when mime-server has moved, also while
// connections to its old address are kept.
func TestFollowsNewAddresses(t *testing.T) {
	var current atomic.Value
	current.Store([4]byte{127, 0, 0, 2})
	resolveBy(t, func() [4]byte { return current.Load().([4]byte) })
	first, port := serveAt(t, "127.0.0.2:0")
	client := clientOf(t, "http://mime-server.test:"+port)
	size := func() int64 {
		t.Helper()
		list, err := client.List(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return list.Bytes
	}
	if got := size(); got != 2 {
		t.Fatalf("answered by 127.0.0.%d, want 127.0.0.2", got)
	}
	serveAt(t, "127.0.0.3:"+port)
	current.Store([4]byte{127, 0, 0, 3})
	first.Close()
	if got := size(); got != 3 {
		t.Errorf("answered by 127.0.0.%d, want 127.0.0.3", got)
	}
}

// serveAt serves a list whose sum of bytes is the last number of the address.
func serveAt(t *testing.T, address string) (*http.Server, string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	own := listener.Addr().(*net.TCPAddr)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"bytes":%d}`, own.IP.To4()[3])
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return server, fmt.Sprint(own.Port)
}

// resolveBy has every name resolved to what address returns at the time, with
// a time to live of an hour, by a DNS server of the test's own.
func resolveBy(t *testing.T, address func() [4]byte) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		server.Close()
	})
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer, err := answerDNS(buffer[:n], address()); err == nil {
				_, _ = server.WriteTo(answer, from)
			}
		}
	}()
}

func answerDNS(query []byte, address [4]byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(query); err != nil {
		return nil, err
	}
	message.Response, message.Additionals = true, nil
	if question := message.Questions[0]; question.Type == dnsmessage.TypeA {
		message.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class, TTL: 3600},
			Body:   &dnsmessage.AResource{A: address},
		}}
	}
	return message.Pack()
}

func TestStalledTransferEnds(t *testing.T) {
	ctx, watch := watchProgress(context.Background())
	watch.timer.Reset(10 * time.Millisecond)
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the request was not ended")
	}
	if err := watch.explain(ctx.Err()); !errors.Is(err, errStalled) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want errStalled", err)
	}
}
