package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/internal/backend/podman"
	"mockup.dev/mockup/internal/imagemap"
	"mockup.dev/mockup/manifests"
	"mockup.dev/mockup/test/stacktest"
)

// NoOp is what it costs to look at a stack that is as it should be.
type NoOp struct {
	Times []time.Duration `json:"nanoseconds"`
	// Calls of Podman's API for each, and how many of all calls would change something.
	Calls  int `json:"podmanCalls"`
	Writes int `json:"podmanWrites"`
}

// measureNoOp applies the set of the running stack n times by a backend of its own, through a proxy that counts.
func measureNoOp(ctx context.Context, s *stacktest.Stack, n int) (NoOp, error) {
	var result NoOp
	set, err := currentSet(ctx, s)
	if err != nil {
		return result, err
	}
	counter, err := countCalls(filepath.Join(s.Dir, "podman.sock"))
	if err != nil {
		return result, err
	}
	defer counter.close()
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	b := podman.New(podman.Options{URI: "unix://" + counter.socket, Log: logr.Discard()})
	if _, err := b.Apply(ctx, set); err != nil { // connects, and learns the addresses
		return result, fmt.Errorf("applying the unchanged set: %w", err)
	}
	for range n {
		counter.reset()
		begin := time.Now()
		if _, err := b.Apply(ctx, set); err != nil {
			return result, fmt.Errorf("applying the unchanged set: %w", err)
		}
		result.Times = append(result.Times, time.Since(begin))
		calls, writes := counter.read()
		result.Calls = max(result.Calls, calls)
		result.Writes += writes
	}
	if result.Calls == 0 {
		return result, fmt.Errorf("applying the unchanged set asked Podman nothing: the proxy was gone round")
	}
	return result, nil
}

// currentSet renders the stack as the operator does.
func currentSet(ctx context.Context, s *stacktest.Stack) (manifests.Set, error) {
	stack, err := s.Get(ctx)
	if err != nil {
		return manifests.Set{}, err
	}
	facts := manifests.StackFacts{Secrets: map[string]*corev1.Secret{}}
	if facts.Images, err = imagemap.Load(s.ImageMap()); err != nil {
		return manifests.Set{}, err
	}
	for _, reference := range manifests.StackReferences(stack) {
		if reference.Kind != "Secret" {
			return manifests.Set{}, fmt.Errorf("the sample refers to %s, which this measurement does not read", reference)
		}
		secret := &corev1.Secret{}
		if err := s.API.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: reference.Name}, secret); err != nil {
			return manifests.Set{}, fmt.Errorf("reading %s: %w", reference, err)
		}
		facts.Secrets[reference.Name] = secret
	}
	set, err := manifests.Stack(stack, facts)
	if err != nil {
		return set, fmt.Errorf("rendering the stack: %w", err)
	}
	return set, nil
}

// counter is a proxy in front of Podman's socket.
type counter struct {
	socket string
	server *http.Server

	mu            sync.Mutex
	calls, writes int
}

func countCalls(socket string) (*counter, error) {
	podman, ok := strings.CutPrefix(os.Getenv("CONTAINER_HOST"), "unix://")
	if !ok {
		return nil, fmt.Errorf("counting calls: CONTAINER_HOST names no unix socket")
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("counting calls: %w", err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "podman"})
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", podman)
	}}
	c := &counter{socket: socket}
	c.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.count(r)
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = c.server.Serve(listener) }() // ends with close
	return c, nil
}

// count leaves out what probes run in containers at times of their own.
func (c *counter) count(r *http.Request) {
	if strings.Contains(r.URL.Path, "/exec") {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		c.writes++
	}
}

func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.writes = 0, 0
}

func (c *counter) read() (calls, writes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls, c.writes
}

func (c *counter) close() { _ = c.server.Close() }
