package node

import (
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// dialTimeout is how long a connection may take to come about when its client sets no limit.
const dialTimeout = 10 * time.Second

// serveConnect answers CONNECT HOST:PORT by a connection from the agent's network namespace, which is where a rootless
// Podman's bridges are.
func (a *agent) serveConnect(w http.ResponseWriter, r *http.Request) {
	done, err := a.connect()
	if err != nil {
		writeError(w, err)
		return
	}
	defer done()
	dialer := net.Dialer{Timeout: dialTimeout}
	there, err := dialer.DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer here.Close()
	if _, err := io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	splice(there.(*net.TCPConn), here.(*net.UnixConn), buffered)
}

// halfCloser is a connection whose one direction can end before the other.
type halfCloser interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// splice passes on what both sides say until both have ended. early is what the one here said already, and all after it.
func splice(there, here halfCloser, early io.Reader) {
	var wait sync.WaitGroup
	wait.Go(func() { pass(there, early) })
	pass(here, there)
	wait.Wait()
}

func pass(to halfCloser, from io.Reader) {
	if _, err := io.Copy(to, from); err != nil {
		_ = to.Close() // broken on either side: the other need not wait
		return
	}
	_ = to.CloseWrite()
}
