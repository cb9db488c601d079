package kubernetes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
)

// handler serves what the API server asks of a kubelet, in kubelet's own protocols.
func (k *kubelet) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.serveLogs)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", k.serveExec)
	mux.HandleFunc("/portForward/{namespace}/{pod}", k.servePortForward)
	return mux
}

func (k *kubelet) pod(w http.ResponseWriter, r *http.Request) *corev1.Pod {
	p, err := k.client.CoreV1().Pods(r.PathValue("namespace")).Get(r.Context(), r.PathValue("pod"), metav1.GetOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return nil
	}
	return p
}

func (k *kubelet) serveLogs(w http.ResponseWriter, r *http.Request) {
	if k.pod(w, r) == nil {
		return
	}
	if r.FormValue("timestamps") == "true" {
		fmt.Fprint(w, time.Now().Format(time.RFC3339Nano)+" ")
	}
	fmt.Fprintln(w, guest.Banner)
	if r.FormValue("follow") == "true" {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

// streams opens a session and hands out the streams as the client creates them.
func streams(w http.ResponseWriter, r *http.Request, protocol string) (httpstream.Connection, <-chan httpstream.Stream) {
	if _, err := httpstream.Handshake(r, w, []string{protocol}); err != nil {
		return nil, nil
	}
	opened := make(chan httpstream.Stream, 8)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, replied <-chan struct{}) error {
		go func() {
			<-replied
			opened <- s
		}()
		return nil
	})
	return conn, opened
}

func (k *kubelet) serveExec(w http.ResponseWriter, r *http.Request) {
	p := k.pod(w, r)
	if p == nil {
		return
	}
	conn, opened := streams(w, r, "v4.channel.k8s.io")
	if conn == nil {
		return
	}
	defer conn.Close()
	expected := 1 // that of errors
	for _, asked := range []string{"input", "output", "error"} {
		if r.FormValue(asked) == "1" {
			expected++
		}
	}
	byType := map[string]httpstream.Stream{}
	for len(byType) < expected {
		select {
		case s := <-opened:
			byType[s.Headers().Get(corev1.StreamType)] = s
		case <-time.After(10 * time.Second):
			return
		}
	}
	process := k.process(context.WithoutCancel(r.Context()), p, r.Form["command"][1:])
	process.Stdout, process.Stderr = byType[corev1.StreamTypeStdout], byType[corev1.StreamTypeStderr]
	if stdin := byType[corev1.StreamTypeStdin]; stdin != nil {
		process.Stdin = stdin
	}
	status := metav1.Status{Status: metav1.StatusSuccess}
	if code := guest.Run(context.Background(), process); code != 0 {
		status = metav1.Status{Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason,
			Message: "command terminated with non-zero exit code",
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{
				Type: remotecommand.ExitCodeCauseType, Message: strconv.Itoa(code),
			}}},
		}
	}
	_ = json.NewEncoder(byType[corev1.StreamTypeError]).Encode(status)
}

func (k *kubelet) servePortForward(w http.ResponseWriter, r *http.Request) {
	p := k.pod(w, r)
	if p == nil {
		return
	}
	conn, opened := streams(w, r, "portforward.k8s.io")
	if conn == nil {
		return
	}
	defer conn.Close()
	for {
		select {
		case s := <-opened:
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeData {
				go serveGuest(s, k.process(context.WithoutCancel(r.Context()), p, p.Spec.Containers[0].Args))
			}
		case <-conn.CloseChan():
			return
		}
	}
}

// serveGuest is the guest program on one connection.
func serveGuest(stream httpstream.Stream, process guest.Process) {
	near, far := net.Pipe()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(near, stream)
		near.Close()
	})
	both.Go(func() {
		_, _ = io.Copy(stream, near)
		stream.Close()
	})
	once := &oneListener{conns: make(chan net.Conn, 1), address: far.LocalAddr()}
	once.conns <- far
	server := &http.Server{Handler: guest.Handler(process)}
	go func() { _ = server.Serve(once) }()
	both.Wait()
	close(once.conns)
}

type oneListener struct {
	conns   chan net.Conn
	address net.Addr
}

func (l *oneListener) Accept() (net.Conn, error) {
	if conn, open := <-l.conns; open {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return l.address }
