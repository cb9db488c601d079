// Package servicetest runs the services as the processes they are, for tests.
package servicetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// deadline for a process to start or to end.
const deadline = 20 * time.Second

// Build builds the named services into dir, as their images hold them.
func Build(dir string, services ...string) error {
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "..", "..")
	for _, service := range services {
		build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, service), "./"+service)
		build.Dir = root
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", service, err, output)
		}
	}
	return os.Chmod(dir, 0o755)
}

// Process is a running service.
type Process struct {
	URL        string // of the service, without a slash at its end
	MetricsURL string // of /metrics
	Port       string

	command *exec.Cmd
	exited  chan struct{}

	mu   sync.Mutex
	logs []map[string]any
	raw  bytes.Buffer
}

// Start starts a service on free ports of the loopback and waits until it
// listens. env is added to a small environment of its own; uid, if not 0, is
// the user it runs as, where the test may choose that.
func Start(binary string, uid uint32, env ...string) (*Process, error) {
	p := &Process{command: exec.Command(binary), exited: make(chan struct{})}
	p.command.Env = append([]string{"PORT=0", "METRICS_PORT=0", "DRAIN_DELAY=200ms", "OTEL_BSP_SCHEDULE_DELAY=50"}, env...)
	p.command.Dir = "/"
	if uid != 0 && os.Getuid() == 0 {
		p.command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	p.command.Stderr = (*record)(p)
	output, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	listening := make(chan struct{})
	go p.read(output, listening)
	select {
	case <-listening:
		return p, nil
	case <-p.exited:
		return nil, fmt.Errorf("%s ended with code %d at its start: %s", binary, p.ExitCode(), p.Output())
	case <-time.After(deadline):
		p.Kill()
		return nil, fmt.Errorf("%s does not listen after %s: %s", binary, deadline, p.Output())
	}
}

func (p *Process) read(output io.Reader, listening chan struct{}) {
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry map[string]any
		_ = json.Unmarshal(lines.Bytes(), &entry) // a line that is no JSON stays nil
		p.mu.Lock()
		p.logs = append(p.logs, entry)
		p.mu.Unlock()
		fmt.Fprintf((*record)(p), "%s\n", lines.Bytes())
		if entry["msg"] == "listening" {
			_, p.Port, _ = net.SplitHostPort(entry["address"].(string))
			_, metrics, _ := net.SplitHostPort(entry["metrics"].(string))
			p.URL = "http://127.0.0.1:" + p.Port
			p.MetricsURL = "http://127.0.0.1:" + metrics + "/metrics"
			close(listening)
		}
	}
	_ = p.command.Wait() // the exit code says it
	close(p.exited)
}

// record adds what a process writes to its Output.
type record Process

func (r *record) Write(text []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.raw.Write(text)
}

// PID is the process id.
func (p *Process) PID() int { return p.command.Process.Pid }

// Logs are the lines logged so far; one that is no JSON object is nil.
func (p *Process) Logs() []map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]map[string]any(nil), p.logs...)
}

// Output is all that the process wrote.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raw.String()
}

// Signal sends a signal and does not wait.
func (p *Process) Signal(signal syscall.Signal) error { return p.command.Process.Signal(signal) }

// Kill ends the process as a crash would, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.command.Process.Kill() // it may be gone already
	<-p.exited
}

// Wait waits for the end of the process and returns its exit code.
func (p *Process) Wait() (int, error) {
	select {
	case <-p.exited:
		return p.ExitCode(), nil
	case <-time.After(deadline):
		return 0, errors.New("the process has not ended within " + deadline.String())
	}
}

// Stop ends the process in order and returns its exit code.
func (p *Process) Stop() (int, error) {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	return p.Wait()
}

// ExitCode of a process that has ended.
func (p *Process) ExitCode() int { return p.command.ProcessState.ExitCode() }

// PeakMemory is the most resident memory the process had so far, in bytes.
func (p *Process) PeakMemory() (int64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/status")
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kilobytes int64
	if _, err := fmt.Sscan(string(after), &kilobytes); err != nil {
		return 0, fmt.Errorf("reading VmHWM: %w", err)
	}
	return kilobytes << 10, nil
}
