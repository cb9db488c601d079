package memory

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
)

// A kubelet's rules for a container that ends: the first restart comes at once, each further one twice as late as the one
// before, and all is forgotten after it has run for a while.
const (
	firstBackOff  = 10 * time.Second
	longestBack   = 5 * time.Minute
	backOffForget = 10 * time.Minute
)

// run starts a pod that does not run and probes one that does; it tells whether that changed anything.
func (w *World) run(t *tenant, p *pod) bool {
	switch {
	case p.running:
		return w.probe(p)
	case p.over != "" && (p.once || !w.due(t, p.next)):
		return false
	}
	w.start(p)
	return true
}

func (w *World) probe(p *pod) bool {
	ready := !w.held[p.main().Image] && !p.server.NeverReady
	if file := p.server.UnreadyFile; ready && file != "" {
		_, err := p.process(p.main(), nil, free{}).ReadFile(file)
		ready = err != nil
	}
	if ready == p.ready {
		return false
	}
	p.ready = ready
	if ready {
		p.readySince = time.Now()
	}
	return true
}

// start runs the init containers to their ends and then the main one until it serves. Sidecars serve, and so end no wait.
func (w *World) start(p *pod) {
	if p.over != "" {
		p.restarts++
		p.over, p.exitCode = "", nil
	}
	p.started = time.Now()
	for i := range p.template.Spec.InitContainers {
		c := &p.template.Spec.InitContainers[i]
		if isSidecar(c) {
			continue
		}
		if _, code := w.begin(p, c); code != nil && *code != 0 {
			w.ended(p, c, *code)
			return
		}
	}
	server, code := w.begin(p, p.main())
	if code != nil {
		w.ended(p, p.main(), *code)
		return
	}
	p.running, p.server = true, server
	p.logs = append(p.logs, guest.Banner)
}

func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// begin a container: the guest does what its arguments say, any other program serves.
func (w *World) begin(p *pod, c *corev1.Container) (guest.Server, *int) {
	if !strings.Contains(c.Image, "/guest:") {
		return guest.Server{}, nil
	}
	return guest.Start(context.Background(), p.process(c, c.Args, free{}))
}

// ended notes the end of a container and when it is to be started again.
func (w *World) ended(p *pod, c *corev1.Container, code int) {
	if c == p.main() {
		p.exitCode = new(int32(code))
	}
	if time.Since(p.started) > w.lasting(backOffForget) {
		p.crashes = 0
	}
	p.running, p.ready, p.over = false, false, c.Name
	p.next = time.Now().Add(w.lasting(backOff(p.crashes)))
	p.crashes++
}

// backOff before a container is started again that has ended so often before.
func backOff(crashes int) time.Duration {
	if crashes == 0 {
		return 0
	}
	return min(longestBack, firstBackOff<<min(crashes-1, 10))
}

// heldBack tells whether a pod waits for a further start of what has ended more than once.
func (p *pod) heldBack() bool { return p.over != "" && p.crashes > 1 && !p.once }

// free is no lock, for programs that run while the world is locked already.
type free struct{}

func (free) Lock()   {}
func (free) Unlock() {}

// process is a program in a container of a pod; it holds lock while it touches a file.
func (p *pod) process(c *corev1.Container, args []string, lock sync.Locker) guest.Process {
	f := files{p, c, lock}
	return guest.Process{
		Args: args, Env: environment(c), Stdout: io.Discard, Stderr: io.Discard,
		ReadFile: f.read, WriteFile: f.write, AppendFile: f.add, RemoveFile: f.remove,
	}
}

func environment(c *corev1.Container) []string {
	var env []string
	for _, v := range c.Env {
		env = append(env, v.Name+"="+v.Value)
	}
	return env
}

// files that a container sees: those of its volumes.
type files struct {
	pod       *pod
	container *corev1.Container
	lock      sync.Locker
}

// find the volume that holds a path, and the name of the file in it.
func (f files) find(name string) (map[string][]byte, string, error) {
	for _, m := range f.container.VolumeMounts {
		if rest, found := strings.CutPrefix(name, path.Clean(m.MountPath)+"/"); found {
			return f.pod.volumes[m.Name], rest, nil
		}
	}
	return nil, "", fmt.Errorf("open %s: no such file or directory", name)
}

func (f files) read(name string) ([]byte, error) {
	f.lock.Lock()
	defer f.lock.Unlock()
	all, rest, err := f.find(name)
	if err != nil {
		return nil, err
	}
	data, found := all[rest]
	if !found {
		return nil, fmt.Errorf("open %s: no such file or directory", name)
	}
	return append([]byte(nil), data...), nil
}

func (f files) write(name string, data []byte) error {
	f.lock.Lock()
	defer f.lock.Unlock()
	all, rest, err := f.find(name)
	if err == nil {
		all[rest] = append([]byte(nil), data...)
	}
	return err
}

func (f files) add(name string, data []byte) error {
	f.lock.Lock()
	defer f.lock.Unlock()
	all, rest, err := f.find(name)
	if err == nil {
		all[rest] = append(append([]byte(nil), all[rest]...), data...)
	}
	return err
}

func (f files) remove(name string) error {
	f.lock.Lock()
	defer f.lock.Unlock()
	all, rest, err := f.find(name)
	if err == nil {
		delete(all, rest)
	}
	return err
}
