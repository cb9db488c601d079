package server

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// stallTimeout is how long a client may send or take nothing of a body. A limit
// for the whole request would break big files on slow lines.
const stallTimeout = 30 * time.Second

// lingerTimeout bounds the wait for the rest of a body that no handler wants.
const lingerTimeout = 5 * time.Second

// limitStalls moves the connection's deadlines along with each piece of a body,
// of which the next must come or go within timeout.
func limitStalls(timeout time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connection := http.NewResponseController(w)
		response := &movingResponse{ResponseWriter: w, connection: connection, timeout: timeout}
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(response, r)
			return
		}
		body := &movingBody{ReadCloser: r.Body, connection: connection, timeout: timeout}
		body.move()                    // net/http reads a short body by itself that no handler wants
		r = r.WithContext(r.Context()) // its own look at the body tells it whether this is one
		r.Body = body
		next.ServeHTTP(response, r)
		if r.Header.Get("Expect") == "" { // else the client may wait to be told to go on
			body.drain()
		}
	})
}

type movingBody struct {
	io.ReadCloser
	connection *http.ResponseController
	timeout    time.Duration
	// ended is atomic because a handler that passes the body on may have it
	// read by another goroutine.
	ended atomic.Bool
}

func (b *movingBody) move() {
	// Setting a deadline fails only where there is no connection (tests).
	_ = b.connection.SetReadDeadline(time.Now().Add(b.timeout))
}

// Read clears the deadline at the body's end: left standing, it would fire in
// the server's background read and cancel a handler that is still at work.
func (b *movingBody) Read(p []byte) (int, error) {
	if b.ended.Load() {
		return b.ReadCloser.Read(p)
	}
	b.move()
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended.Store(true)
		_ = b.connection.SetReadDeadline(time.Time{})
	}
	return n, err
}

// drain is called when the handler has returned. It sends the answer, and takes
// for a little time what is left of the body: whoever is cut off while sending
// does not see the answer (RFC 9112, section 9.6).
func (b *movingBody) drain() {
	if b.ended.Load() {
		return
	}
	_ = b.connection.Flush()
	_ = b.connection.SetReadDeadline(time.Now().Add(min(b.timeout, lingerTimeout)))
	_, _ = io.Copy(io.Discard, b.ReadCloser) // that it ends is all that counts
}

// movingResponse hides ReadFrom on purpose: sendfile would move a whole file
// under one deadline.
type movingResponse struct {
	http.ResponseWriter
	connection *http.ResponseController
	timeout    time.Duration
}

func (w *movingResponse) Write(p []byte) (int, error) {
	_ = w.connection.SetWriteDeadline(time.Now().Add(w.timeout))
	return w.ResponseWriter.Write(p)
}

func (w *movingResponse) Unwrap() http.ResponseWriter { return w.ResponseWriter }
