package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

const shortStall = 250 * time.Millisecond

// dial sends the head of a request and returns the connection.
func dial(t *testing.T, server *httptest.Server, length int) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	fmt.Fprintf(connection, "PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", length)
	return connection
}

func TestStalledUploadEnds(t *testing.T) {
	result := make(chan error, 1)
	server := httptest.NewServer(limitStalls(shortStall, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		result <- err
	})))
	defer server.Close()
	connection := dial(t, server, 100)
	fmt.Fprint(connection, "the beginning")
	select {
	case err := <-result:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("reading failed with %v, want a timeout", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the upload was not ended")
	}
}

// Before it answers, net/http reads a short body that the handler did not ask for.
func TestStalledUploadThatNobodyReadsEnds(t *testing.T) {
	done := make(chan struct{})
	server := httptest.NewServer(limitStalls(shortStall, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.CopyN(w, endless{}, 1<<20)
		close(done)
	})))
	defer server.Close()
	dial(t, server, 100)
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the upload was not ended")
	}
}

// Who goes on sending when the answer is there still gets it.
func TestAnswerToALongUploadThatNobodyReads(t *testing.T) {
	server := httptest.NewServer(limitStalls(10*time.Second, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})))
	defer server.Close()
	connection := dial(t, server, 1<<30)
	defer connection.Close() // before the server waits for the rest
	for range 30 {           // for three times as long as net/http waits
		time.Sleep(50 * time.Millisecond)
		if _, err := connection.Write(make([]byte, 64<<10)); err != nil {
			t.Fatalf("sending: %v", err)
		}
	}
	answer := make([]byte, 1000)
	n, err := connection.Read(answer)
	if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 413") {
		t.Errorf("answer %q, %v", answer[:n], err)
	}
}

func TestSlowUploadAndLongWorkPass(t *testing.T) {
	server := httptest.NewServer(limitStalls(shortStall, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading: %v", err)
		}
		select { // work that takes longer than a stall may
		case <-r.Context().Done():
			t.Error("the handler was cancelled while at work")
		case <-time.After(2 * shortStall):
		}
		fmt.Fprint(w, len(body))
	})))
	defer server.Close()
	connection := dial(t, server, 10)
	for range 10 {
		time.Sleep(shortStall / 4)
		fmt.Fprint(connection, "x")
	}
	_ = connection.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer := make([]byte, 1000)
	n, err := connection.Read(answer)
	if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200") {
		t.Errorf("answer %q, %v", answer[:n], err)
	}
}

func TestStalledDownloadEnds(t *testing.T) {
	result := make(chan error, 1)
	server := httptest.NewServer(limitStalls(shortStall, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.CopyN(w, endless{}, 1<<30)
		result <- err
	})))
	defer server.Close()
	dial(t, server, 0) // reads nothing of the answer
	select {
	case err := <-result:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("writing failed with %v, want a timeout", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the download was not ended")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
