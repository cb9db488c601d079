package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"mockup.dev/mockup/internal/backend"
)

// portForwardProtocol is the only version there is.
const portForwardProtocol = "portforward.k8s.io"

// Dial connects to a port of a pod by port-forward. Deadlines are not supported; that nobody listens on the port is
// learnt from the first Read.
func (p pods) Dial(ctx context.Context, ref backend.PodRef, port int) (net.Conn, error) {
	pod, _, err := p.find(ctx, ref, "")
	if err != nil {
		return nil, err
	}
	dialer, err := p.dialer(pod)
	if err != nil {
		return nil, fmt.Errorf("dialling port %d of pod %s: %w", port, ref.Pod, err)
	}
	session, _, err := dialer.Dial(portForwardProtocol)
	if err != nil {
		return nil, fmt.Errorf("dialling port %d of pod %s: %w", port, ref.Pod, err)
	}
	conn, err := newForwarded(session, ref.Pod, port)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dialling port %d of pod %s: %w", port, ref.Pod, err), session.Close())
	}
	return conn, nil
}

func (p pods) dialer(pod *corev1.Pod) (httpstream.Dialer, error) {
	url := p.cluster.CoreV1().RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).
		SubResource("portforward").URL()
	overWebSocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, p.config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(p.config)
	if err != nil {
		return nil, err
	}
	overSPDY := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	return portforward.NewFallbackDialerForStreaming(overWebSocket, overSPDY, httpstream.IsUpgradeFailure), nil
}

// forwarded is one connection to a port, with a session of its own.
type forwarded struct {
	httpstream.Stream
	session httpstream.Connection
	address podAddress
	failure func() error
}

func newForwarded(session httpstream.Connection, pod string, port int) (*forwarded, error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	failures, err := session.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	_ = failures.Close() // we only read it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := session.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	address := podAddress(net.JoinHostPort(pod, strconv.Itoa(port)))
	return &forwarded{Stream: data, session: session, address: address, failure: sync.OnceValue(func() error {
		message, err := io.ReadAll(failures)
		if err == nil && len(message) > 0 {
			return fmt.Errorf("connection to %s: %s", address, message)
		}
		return nil
	})}, nil
}

// Read says at the end of the stream whether it is the end because something went wrong.
func (f *forwarded) Read(p []byte) (int, error) {
	n, err := f.Stream.Read(p)
	if errors.Is(err, io.EOF) {
		if failure := f.failure(); failure != nil {
			return n, failure
		}
	}
	return n, err
}

// Close ends the connection and its session.
func (f *forwarded) Close() error {
	return errors.Join(f.Reset(), f.session.Close())
}

// LocalAddr implements net.Conn.
func (f *forwarded) LocalAddr() net.Addr { return podAddress("forwarded") }

// RemoteAddr implements net.Conn.
func (f *forwarded) RemoteAddr() net.Addr { return f.address }

// SetDeadline implements net.Conn without an effect.
func (f *forwarded) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn without an effect.
func (f *forwarded) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn without an effect.
func (f *forwarded) SetWriteDeadline(time.Time) error { return nil }

// podAddress is pod:port.
type podAddress string

// Network implements net.Addr.
func (podAddress) Network() string { return "tcp" }

func (a podAddress) String() string { return string(a) }
