package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mockup.dev/mockup/internal/controlplane"
	"mockup.dev/mockup/internal/podmansocket"
	"mockup.dev/mockup/internal/processes"
	"mockup.dev/mockup/internal/statedir"
)

// The background programs, as their pid and log files are called.
const (
	processPodman       = "podman"
	processControlPlane = "controlplane"
	processOperator     = "operator"
)

const (
	// pollPeriod is how often a program that is being started is asked whether it is ready.
	pollPeriod = 30 * time.Millisecond
	// logTail is how many lines of a log explain why a program ended.
	logTail = 10
)

// background starts the programs of a state folder and waits until each is ready.
type background struct {
	state statedir.Dir
	processes.Folder
	program string
}

func newBackground(state statedir.Dir) (*background, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the program file: %w", err)
	}
	b := &background{state: state, Folder: folder(state), program: program}
	b.bySystemd()
	return b, nil
}

func (b *background) controlPlaneProcess() processes.Process {
	return processes.Process{
		Name: processControlPlane, Path: b.program, Grace: 25 * time.Second,
		Args: []string{"controlplane", "--state-dir", string(b.state), "--background"},
	}
}

func (b *background) operatorProcess(podman string) processes.Process {
	p := processes.Process{
		Name: processOperator, Path: b.program, Grace: 15 * time.Second,
		Args: []string{"manager", "--state-dir", string(b.state), "--background",
			"--kubeconfig", controlplane.KubeconfigPath(b.state.ControlPlane()), "--podman-socket", podman},
	}
	if _, err := os.Stat(b.state.ImageMap()); err == nil {
		p.Args, p.Inputs = append(p.Args, "--image-map", b.state.ImageMap()), []string{b.state.ImageMap()}
	}
	return p
}

func (b *background) podmanProcess(uri string) (processes.Process, error) {
	program, err := exec.LookPath("podman")
	if err != nil {
		return processes.Process{}, fmt.Errorf("no Podman service answers, and none can be started: %w", err)
	}
	if program, err = filepath.Abs(program); err != nil {
		return processes.Process{}, fmt.Errorf("finding podman: %w", err)
	}
	return processes.Process{
		Name: processPodman, Path: program, Grace: 10 * time.Second, Passive: true,
		// With CONTAINER_HOST in its environment, podman would else look for a service instead of being one.
		Args: []string{"--remote=false", "system", "service", "--time=0", uri},
	}, nil
}

// startControlPlane returns when the control plane serves.
func (b *background) startControlPlane(ctx context.Context) (processes.Change, error) {
	holder, running, err := controlplane.Running(b.state.ControlPlane())
	if err != nil {
		return "", err
	}
	if running && holder.PID != 0 && holder.PID != b.Running(processControlPlane) {
		return "", fmt.Errorf("process %d runs the control plane of %s, but was not started by %q: end it first", holder.PID, b.state, "mockup up")
	}
	change, err := b.Ensure(ctx, b.controlPlaneProcess())
	if err != nil {
		return "", err
	}
	return change, b.until(ctx, processControlPlane, b.serving)
}

// serving is nil when the control plane answers and knows our kinds.
func (b *background) serving(ctx context.Context) error {
	if err := controlplane.Healthy(ctx, b.state.ControlPlane()); err != nil {
		return err
	}
	c, err := newClient(b.state)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if _, err := k.subjects(ctx, c, ""); err != nil {
			return err
		}
	}
	return nil
}

// startOperator returns when the operator's controllers run.
func (b *background) startOperator(ctx context.Context, podman string) (processes.Change, error) {
	change, err := b.Ensure(ctx, b.operatorProcess(podman))
	if err != nil {
		return "", err
	}
	return change, b.until(ctx, processOperator, func(context.Context) error {
		if !operatorReady(b.state, b.Running(processOperator)) {
			return fmt.Errorf("its caches are not filled yet")
		}
		return nil
	})
}

// startPodman has Podman's service run and returns when its socket answers.
func (b *background) startPodman(ctx context.Context, uri string) (processes.Change, error) {
	socket := podmansocket.Path(uri)
	if socket == "" {
		return "", fmt.Errorf("nothing answers at %s, and only a unix socket can be opened from here", uri)
	}
	process, err := b.podmanProcess(uri)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return "", fmt.Errorf("making the folder of Podman's socket: %w", err)
	}
	change, err := b.Ensure(ctx, process)
	if err != nil {
		return "", err
	}
	return change, b.until(ctx, processPodman, func(ctx context.Context) error {
		client, err := podmansocket.New(uri)
		if err != nil {
			return err
		}
		_, err = client.Ping(ctx)
		return err
	})
}

// until asks ready again and again, as long as ctx lets it and the program lives. The error says what was missing.
func (b *background) until(ctx context.Context, name string, ready func(context.Context) error) error {
	ticker := time.NewTicker(pollPeriod)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if b.Running(name) == 0 {
			return fmt.Errorf("the %s ended as soon as it was started, see %s:\n%s", name, b.LogFile(name), indent(b.LogTail(name, logTail)))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the %s: %w; %w", name, ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

func indent(text string) string { return "  │ " + strings.ReplaceAll(text, "\n", "\n  │ ") }

// systemdSocket asks systemd for Podman's socket, where there is systemd, and tells whether it agreed.
func systemdSocket(ctx context.Context) bool {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return false
	}
	args := []string{"start", "podman.socket"}
	if os.Geteuid() != 0 {
		args = append([]string{"--user"}, args...)
	}
	return exec.CommandContext(ctx, "systemctl", args...).Run() == nil
}
