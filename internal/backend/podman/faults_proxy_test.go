package podman

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// badProxy stands between a backend and Podman's service, and has its answers go wrong.
type badProxy struct {
	t      *testing.T
	path   string
	target string
	// requests that came so far.
	requests atomic.Int64

	mu     sync.Mutex
	spoil  spoiler
	server *http.Server
}

// spoiler changes an answer.
type spoiler func(*http.Response) error

func newBadProxy(t *testing.T, target string) *badProxy {
	dir, err := os.MkdirTemp("", "proxy") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	p := &badProxy{t: t, path: filepath.Join(dir, "podman.sock"), target: target}
	p.appear()
	t.Cleanup(func() { p.vanish(); _ = os.RemoveAll(dir) })
	return p
}

// become has all answers from now on changed by s, or none.
func (p *badProxy) become(s spoiler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoil = s
}

func (p *badProxy) modify(resp *http.Response) error {
	p.mu.Lock()
	s := p.spoil
	p.mu.Unlock()
	if s == nil {
		return nil
	}
	return s(resp)
}

// appear listens.
func (p *badProxy) appear() {
	listener, err := net.Listen("unix", p.path)
	if err != nil {
		p.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "podman" },
		FlushInterval:  -1, // events come as they happen
		ModifyResponse: p.modify,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // the connection breaks
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", p.target)
		}},
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		proxy.ServeHTTP(w, r)
	})}
	p.mu.Lock()
	p.server = server
	p.mu.Unlock()
	go func() { _ = server.Serve(listener) }() // ends by vanish
}

// vanish takes the socket away and breaks every connection.
func (p *badProxy) vanish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.server.Close() // what was to be closed is
	_ = os.Remove(p.path)
}

// slowed answers come half a second late.
func slowed(resp *http.Response) error {
	select {
	case <-time.After(500 * time.Millisecond):
	case <-resp.Request.Context().Done():
	}
	return nil
}

// garbled answers are errors in no form that Podman has.
func garbled(resp *http.Response) error {
	resp.StatusCode, resp.Status = http.StatusInternalServerError, "500 Internal Server Error"
	return replaceBody(resp, "<html>\x00\xff what?")
}

// halved answers end in their middle.
func halved(resp *http.Response) error {
	if strings.Contains(resp.Request.URL.Path, "/events") {
		return replaceBody(resp, `{"status":"died","Type":"cont`)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return replaceBody(resp, string(body[:len(body)/2]))
}

// emptied answers are successes without a word.
func emptied(resp *http.Response) error {
	resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	return replaceBody(resp, "")
}

func replaceBody(resp *http.Response, text string) error {
	err := resp.Body.Close()
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewBufferString(text)), int64(len(text))
	resp.Header.Set("Content-Length", fmt.Sprint(len(text)))
	resp.TransferEncoding = nil
	return err
}
