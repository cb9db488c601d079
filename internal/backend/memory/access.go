package memory

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

// Pods looks inside the pods of the world, which all run the guest program.
func (b *Backend) Pods() backend.Pods { return access{b.world} }

type access struct{ world *World }

// find a running pod of an owner; called with the lock held.
func (a access) find(ctx context.Context, ref backend.PodRef, container string) (*pod, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("looking into pod %s: %w", ref.Pod, err)
	}
	t := a.world.tenants[ref.Owner.String()]
	if t != nil {
		for _, p := range t.pods {
			if p.name != ref.Pod {
				continue
			}
			if p.container(container) == nil {
				return nil, fmt.Errorf("pod %s of %s has no container %s", ref.Pod, ref.Owner, container)
			}
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s has no pod %s", ref.Owner, ref.Pod)
}

// container by its name, the main one by none; nil when there is no such container, or it is one that has ended.
func (p *pod) container(name string) *corev1.Container {
	if name == "" {
		return p.main()
	}
	for i := range p.template.Spec.Containers {
		if c := &p.template.Spec.Containers[i]; c.Name == name {
			return c
		}
	}
	for i := range p.template.Spec.InitContainers {
		if c := &p.template.Spec.InitContainers[i]; c.Name == name && isSidecar(c) {
			return c
		}
	}
	return nil
}

// Logs of the main container: a line for each start of its program.
func (a access) Logs(ctx context.Context, ref backend.PodRef, o backend.LogOptions) (io.ReadCloser, error) {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	if n := a.world.faults.logs[ref.Owner.String()]; n > 0 {
		a.world.faults.logs[ref.Owner.String()] = n - 1
		return nil, context.DeadlineExceeded
	}
	p, err := a.find(ctx, ref, o.Container)
	if err != nil {
		return nil, err
	}
	lines := p.logs
	if o.Tail > 0 && len(lines) > o.Tail {
		lines = lines[len(lines)-o.Tail:]
	}
	var text strings.Builder
	for _, line := range lines {
		if o.Timestamps {
			text.WriteString(epoch + " ")
		}
		text.WriteString(line + "\n")
	}
	if !o.Follow {
		return io.NopCloser(strings.NewReader(text.String())), nil
	}
	reader, writer := io.Pipe()
	stop := context.AfterFunc(ctx, func() { writer.CloseWithError(ctx.Err()) })
	go func() { _, _ = io.WriteString(writer, text.String()) }()
	return &following{PipeReader: reader, stop: stop}, nil
}

type following struct {
	*io.PipeReader
	stop func() bool
}

// Close stops to follow.
func (f *following) Close() error {
	f.stop()
	return f.PipeReader.Close()
}

// Exec runs the guest program; any other command ends with 127, as a shell would have it.
func (a access) Exec(ctx context.Context, ref backend.PodRef, e backend.ExecRequest) (int, error) {
	a.world.mu.Lock()
	p, err := a.find(ctx, ref, e.Container)
	a.world.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if e.Stdout == nil {
		e.Stdout = io.Discard
	}
	if e.Stderr == nil {
		e.Stderr = io.Discard
	}
	if len(e.Command) == 0 || e.Command[0] != guest.Path {
		_, err := fmt.Fprintf(e.Stderr, "%v: not found\n", e.Command)
		return 127, err
	}
	process := p.process(p.container(e.Container), e.Command[1:], &a.world.mu)
	process.Stdin, process.Stdout, process.Stderr = e.Stdin, e.Stdout, e.Stderr
	code := guest.Run(ctx, process)
	a.world.noticed(ref.Owner, p)
	return code, nil
}

// noticed has an owner looked at when a command has changed whether its pod is ready, as the next probe would see it.
func (w *World) noticed(owner manifests.Owner, p *pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.server.UnreadyFile != "" {
		w.report(owner)
	}
}

// Dial connects to the program as if it served on every port that its container names.
func (a access) Dial(ctx context.Context, ref backend.PodRef, port int) (net.Conn, error) {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	p, err := a.find(ctx, ref, "")
	if err != nil {
		return nil, err
	}
	open := func(c corev1.ContainerPort) bool { return int(c.ContainerPort) == port }
	if !p.running || !slices.ContainsFunc(p.main().Ports, open) {
		return nil, fmt.Errorf("pod %s of %s: port %d: connection refused", ref.Pod, ref.Owner, port)
	}
	near, far := net.Pipe()
	server := &http.Server{Handler: guest.Handler(p.process(p.main(), p.main().Args, &a.world.mu))} //nolint:gosec // one connection within the process
	go func() { _ = server.Serve(newOneConn(far)) }()
	return near, nil
}

// oneConn is a listener with a single connection; it ends when that is closed.
type oneConn struct {
	conns chan net.Conn
	addr  net.Addr
}

func newOneConn(conn net.Conn) *oneConn {
	l := &oneConn{conns: make(chan net.Conn, 1), addr: conn.LocalAddr()}
	l.conns <- &closing{Conn: conn, closed: sync.OnceFunc(func() { close(l.conns) })}
	return l
}

type closing struct {
	net.Conn
	closed func()
}

// Close ends the connection and its listener.
func (c *closing) Close() error {
	c.closed()
	return c.Conn.Close()
}

// Accept implements net.Listener.
func (l *oneConn) Accept() (net.Conn, error) {
	if conn, open := <-l.conns; open {
		return conn, nil
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener; the end of the connection is the end of the listener.
func (l *oneConn) Close() error { return nil }

// Addr implements net.Listener.
func (l *oneConn) Addr() net.Addr { return l.addr }
