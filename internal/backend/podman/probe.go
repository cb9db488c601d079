package podman

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// target of a probe: a container and the address of its pod.
type target struct {
	container string
	addr      netip.Addr
	dial      dialer
}

// dialer connects to an address on the pods' networks.
type dialer func(ctx context.Context, address string) (net.Conn, error)

// probeOnce runs a probe as a kubelet does and returns why it failed, if it did.
func probeOnce(ctx context.Context, e engine, p *corev1.Probe, t target) error {
	ctx, cancel := context.WithTimeout(ctx, seconds(p.TimeoutSeconds, 1))
	defer cancel()
	switch {
	case p.HTTPGet != nil:
		return probeHTTP(ctx, p.HTTPGet, t)
	case p.TCPSocket != nil:
		return probeTCP(ctx, p.TCPSocket, t)
	case p.GRPC != nil:
		return probeGRPC(ctx, p.GRPC, t)
	case p.Exec != nil:
		return probeExec(ctx, e, p.Exec, t.container)
	}
	return nil
}

// exchange sends one request on a connection of its own, like a kubelet, checks no certificate and follows no redirect. An
// http.Transport does the same with two more goroutines and a third more memory, dozens of times a second for as long as a
// program is at rest.
func (t target) exchange(req *http.Request, read func(*http.Response) error) error {
	ctx := req.Context()
	opened, err := t.dial(ctx, req.URL.Host)
	if err != nil {
		return err
	}
	defer func() { _ = opened.Close() }()
	defer context.AfterFunc(ctx, func() { _ = opened.Close() })()
	conn := opened
	if req.URL.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: req.URL.Hostname()}) //nolint:gosec // a probe asks whether the server answers, not who it is
	}
	req.Close = true
	resp, err := roundTrip(conn, req)
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
		err = read(resp)
	}
	if err != nil {
		return cmp.Or(ctx.Err(), err) // of a connection that is closed with ctx, the error says nothing
	}
	return nil
}

// roundTrip returns the final answer to a request: those before it (1xx) say that it is to come.
func roundTrip(conn net.Conn, req *http.Request) (*http.Response, error) {
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	answers := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(answers, req)
		if err != nil || resp.StatusCode >= http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

func probeHTTP(ctx context.Context, get *corev1.HTTPGetAction, t target) error {
	host := get.Host
	if host == "" {
		host = t.addr.String()
	}
	scheme := "http"
	if get.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	url := scheme + "://" + net.JoinHostPort(host, get.Port.String()) + "/" + strings.TrimPrefix(get.Path, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	req.Header.Set("User-Agent", "mockup-probe")
	for _, h := range get.HTTPHeaders {
		if http.CanonicalHeaderKey(h.Name) == "Host" {
			req.Host = h.Value
			continue
		}
		req.Header.Add(h.Name, h.Value)
	}
	err = t.exchange(req, func(resp *http.Response) error {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 10<<10))
		if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusBadRequest {
			return errors.New(resp.Status)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	return nil
}

func probeTCP(ctx context.Context, s *corev1.TCPSocketAction, t target) error {
	host := s.Host
	if host == "" {
		host = t.addr.String()
	}
	conn, err := t.dial(ctx, net.JoinHostPort(host, s.Port.String()))
	if err != nil {
		return err
	}
	return conn.Close()
}

func probeGRPC(ctx context.Context, g *corev1.GRPCAction, t target) error {
	where := net.JoinHostPort(t.addr.String(), strconv.Itoa(int(g.Port)))
	conn, err := grpc.NewClient("passthrough:///"+where, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(t.dial))
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", where, err)
	}
	defer func() { _ = conn.Close() }()
	service := ""
	if g.Service != nil {
		service = *g.Service
	}
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	if err != nil {
		return fmt.Errorf("asking %s for its health: %w", where, err)
	}
	if answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("%s answers %s", where, answer.Status)
	}
	return nil
}

func probeExec(ctx context.Context, e engine, x *corev1.ExecAction, container string) error {
	var out strings.Builder
	code, err := e.exec(ctx, container, execRequest{command: x.Command, stdout: &out, stderr: &out})
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("%s: exit code %d: %s", strings.Join(x.Command, " "), code, strings.TrimSpace(out.String()))
	}
	return nil
}

// seconds of a probe's field, with Kubernetes' default when it is unset.
func seconds(v, unset int32) time.Duration {
	if v <= 0 {
		v = unset
	}
	return time.Duration(v) * time.Second
}

func orDefault(v, unset int32) int32 {
	if v <= 0 {
		return unset
	}
	return v
}

// resolvePorts replaces the names of ports by their numbers.
func (p *probes) resolvePorts(ports []corev1.ContainerPort) error {
	for _, probe := range []**corev1.Probe{&p.Startup, &p.Readiness, &p.Liveness} {
		if *probe == nil {
			continue
		}
		resolved := (*probe).DeepCopy()
		*probe = resolved
		var err error
		if resolved.HTTPGet != nil {
			resolved.HTTPGet.Port, err = numbered(resolved.HTTPGet.Port, ports)
		}
		if resolved.TCPSocket != nil {
			resolved.TCPSocket.Port, err = numbered(resolved.TCPSocket.Port, ports)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func numbered(port intstr.IntOrString, ports []corev1.ContainerPort) (intstr.IntOrString, error) {
	if port.Type == intstr.Int {
		return port, nil
	}
	for _, p := range ports {
		if p.Name == port.StrVal {
			return intstr.FromInt32(p.ContainerPort), nil
		}
	}
	return port, errors.New("a probe names port " + strconv.Quote(port.StrVal) + ", which the container does not have")
}
