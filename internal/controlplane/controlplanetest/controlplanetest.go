// Package controlplanetest starts the local control plane for tests in a process of its own. A test package that uses it
// does not link the API server, so it builds and starts fast; the server binary is built once and then found up to date.
package controlplanetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// startTimeout bounds the time until the control plane is ready; without load it takes two to three seconds.
	startTimeout = 2 * time.Minute
	// stopTimeout bounds a graceful stop, which takes one second, before the process is killed.
	stopTimeout = 30 * time.Second
	// readyPrefix starts the line on which the server says that it is ready and where its kubeconfig lies.
	readyPrefix = "ready "
)

// Start runs a control plane with the CRDs of this project in dir and returns an administrator's configuration for it.
// What an earlier control plane left in dir is there again. stop ends it gracefully and returns when it is gone; it may
// be called twice. If the test dies without calling stop, the control plane ends too.
//
//	config, stop, err := controlplanetest.Start(t.TempDir())
func Start(dir string) (config *rest.Config, stop func(), err error) {
	p, err := StartProcess(dir)
	if err != nil {
		return nil, nil, err
	}
	return p.Config, func() { _ = p.Stop() }, nil
}

// Process is a running control plane.
type Process struct {
	// Config is an administrator's.
	Config *rest.Config
	// Kubeconfig is the path of a file that says the same, for kubectl.
	Kubeconfig string
	// PID of the process.
	PID int

	command *exec.Cmd
	stdin   io.Closer
	stderr  *tail
	ended   chan struct{}
	err     error // of the process, to be read after ended
	once    sync.Once
}

// StartProcess is Start for tests that also look at the process or kill it.
func StartProcess(dir string) (*Process, error) {
	server, err := findServer()
	if err != nil {
		return nil, err
	}
	p := &Process{command: exec.Command(server.binary, dir, server.crds), stderr: &tail{}, ended: make(chan struct{})}
	p.command.Stderr = p.stderr
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting control plane: %w", err)
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting control plane: %w", err)
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting control plane: %w", err)
	}
	p.PID = p.command.Process.Pid
	ready := make(chan string, 1)
	go p.follow(stdout, ready)
	if err := p.waitReady(ready); err != nil {
		_ = p.Kill()
		return nil, fmt.Errorf("starting control plane in %s: %w", dir, err)
	}
	return p, nil
}

// follow reads what the process prints until it ends.
func (p *Process) follow(stdout io.Reader, ready chan<- string) {
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if path, ok := strings.CutPrefix(lines.Text(), readyPrefix); ok {
			ready <- path
		}
	}
	p.err = p.command.Wait()
	close(p.ended)
}

func (p *Process) waitReady(ready <-chan string) error {
	select {
	case p.Kubeconfig = <-ready:
	case <-p.ended:
		return fmt.Errorf("it ended before it was ready: %w\n%s", p.err, p.stderr)
	case <-time.After(startTimeout):
		return fmt.Errorf("it was not ready after %s\n%s", startTimeout, p.stderr)
	}
	config, err := clientcmd.BuildConfigFromFlags("", p.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reading its kubeconfig: %w", err)
	}
	config.QPS = -1 // tests are in a hurry
	p.Config = config
	return nil
}

// Stop ends the control plane gracefully, and the hard way if that takes too long, which is an error.
func (p *Process) Stop() error {
	var err error
	p.once.Do(func() {
		_ = p.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
			err = p.err
		case <-time.After(stopTimeout):
			err = errors.Join(fmt.Errorf("the control plane did not stop within %s\n%s", stopTimeout, p.stderr), p.Kill())
		}
		_ = p.stdin.Close()
	})
	return err
}

// Kill ends the process with SIGKILL, as a crash would, and returns when it is gone.
func (p *Process) Kill() error {
	err := p.command.Process.Kill()
	<-p.ended
	_ = p.stdin.Close()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// tail keeps the end of what is written to it, for error messages.
type tail struct {
	mu      sync.Mutex
	content []byte
}

const tailSize = 16 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.content = append(t.content, b...)
	if extra := len(t.content) - tailSize; extra > 0 {
		t.content = t.content[extra:]
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.content)
}
