package podman

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/containers/podman/v5/pkg/api/handlers"
	"github.com/containers/podman/v5/pkg/bindings"
	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
	dockercontainer "github.com/docker/docker/api/types/container"
)

func (c *client) startContainer(ctx context.Context, id string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	if err := containers.Start(ctx, id, nil); err != nil {
		return fmt.Errorf("starting container %.12s: %w", id, err)
	}
	return nil
}

func (c *client) restartContainer(ctx context.Context, id string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	if err := containers.Restart(ctx, id, nil); err != nil {
		return fmt.Errorf("restarting container %.12s: %w", id, err)
	}
	return nil
}

func (c *client) signal(ctx context.Context, id, name string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	if err := containers.Kill(ctx, id, &containers.KillOptions{Signal: &name}); err != nil {
		return fmt.Errorf("sending %s to container %.12s: %w", name, id, err)
	}
	return nil
}

func (c *client) setRestart(ctx context.Context, id string, policy restartPolicy) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	o := &types.ContainerUpdateOptions{NameOrID: id, RestartPolicy: ptr(string(policy))}
	if policy == restartOnce {
		o.RestartRetries = ptr(uint(1))
	}
	_, failure := containers.Update(ctx, o)
	if failure == nil {
		return nil
	}
	// The policy is written down first; then the runtime is told about resources, which fails for a process that just ended.
	data, err := containers.Inspect(ctx, id, nil)
	if err == nil && data.HostConfig.RestartPolicy != nil && data.HostConfig.RestartPolicy.Name == string(policy) {
		return nil
	}
	return fmt.Errorf("setting the restart policy of container %.12s to %s: %w", id, policy, failure)
}

func (c *client) details(ctx context.Context, id string) (containerDetails, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return containerDetails{}, err
	}
	data, err := containers.Inspect(ctx, id, nil)
	if err != nil {
		return containerDetails{}, fmt.Errorf("inspecting container %.12s: %w", id, err)
	}
	return containerDetails{oomKilled: data.State.OOMKilled, memory: data.HostConfig.Memory, stopSignal: data.Config.StopSignal}, nil
}

func (c *client) wait(ctx context.Context, id string) (int32, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return 0, err
	}
	code, err := containers.Wait(ctx, id, &containers.WaitOptions{Conditions: []string{"exited"}})
	if err != nil {
		return 0, fmt.Errorf("waiting for container %.12s: %w", id, err)
	}
	return code, nil
}

func (c *client) logs(ctx context.Context, container string, o logRequest, out io.Writer) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	options := &containers.LogOptions{Stdout: ptr(true), Stderr: ptr(true), Follow: ptr(o.follow), Timestamps: ptr(o.timestamps)}
	if o.tail > 0 {
		options.Tail = ptr(strconv.Itoa(o.tail))
	}
	lines := make(chan string)
	done := make(chan error, 1)
	go func() { done <- containers.Logs(ctx, container, options, lines, lines) }()
	var broken error
	for {
		select {
		case line := <-lines:
			if broken == nil {
				_, broken = io.WriteString(out, line)
			}
		case err := <-done:
			return errors.Join(broken, err)
		case <-ctx.Done():
			go discard(lines, done)
			return ctx.Err()
		}
	}
}

// discard takes what the bindings still hand over: they stop only between two frames.
func discard(lines <-chan string, done <-chan error) {
	for {
		select {
		case <-lines:
		case <-done: //nolint:errcheck // of no interest to a caller who has gone
			return
		}
	}
}

// exec runs a command, and ends it with ctx: an attached session does not end by that itself, and is left to end behind.
func (c *client) exec(ctx context.Context, container string, e execRequest) (int, error) {
	type result struct {
		code int
		err  error
	}
	done := make(chan result, 1)
	go func() {
		code, err := c.session(ctx, container, e)
		done <- result{code, err}
	}()
	select {
	case r := <-done:
		return r.code, r.err
	case <-ctx.Done():
		return -1, fmt.Errorf("running %q: %w", e.command[0], ctx.Err())
	}
}

// session has a connection of its own: to attach, the bindings replace the transport of the one they are given (attach.go,
// newUpgradeRequest), which is a race with its other users and leaves its open connections to nobody.
func (c *client) session(ctx context.Context, container string, e execRequest) (int, error) {
	opened, err := bindings.NewConnection(ctx, c.uri)
	if err != nil {
		return -1, fmt.Errorf("connecting to Podman at %s: %w", c.uri, err)
	}
	conn, err := bindings.GetClient(opened)
	if err != nil {
		return -1, err
	}
	first := *conn.Client
	defer func() {
		first.CloseIdleConnections()
		conn.Client.CloseIdleConnections()
	}()
	return runSession(opened, container, e)
}

// runSession makes an exec session, attaches to it and returns its exit code.
func runSession(ctx context.Context, container string, e execRequest) (int, error) {
	config := &handlers.ExecCreateConfig{ExecOptions: dockercontainer.ExecOptions{
		Cmd: e.command, AttachStdin: e.stdin != nil, AttachStdout: true, AttachStderr: true,
	}}
	session, err := containers.ExecCreate(ctx, container, config)
	if err != nil {
		return -1, fmt.Errorf("preparing to run %q: %w", e.command[0], err)
	}
	o := new(containers.ExecStartAndAttachOptions).
		WithOutputStream(e.stdout).WithAttachOutput(true).WithErrorStream(e.stderr).WithAttachError(true)
	if e.stdin != nil {
		o = o.WithInputStream(*bufio.NewReader(e.stdin)).WithAttachInput(true)
	}
	// Podman keeps a session for five minutes, and takes seconds to remove a container that still has some. Removed by
	// force, what still runs is ended.
	remove := sync.OnceFunc(func() {
		_ = containers.ExecRemove(context.WithoutCancel(ctx), session, &containers.ExecRemoveOptions{Force: ptr(true)})
	})
	defer context.AfterFunc(ctx, remove)()
	defer remove()
	if err := containers.ExecStartAndAttach(ctx, session, o); err != nil {
		return -1, fmt.Errorf("running %q: %w", e.command[0], err)
	}
	report, err := containers.ExecInspect(ctx, session, nil)
	if err != nil {
		return -1, fmt.Errorf("asking for the exit code of %q: %w", e.command[0], err)
	}
	return report.ExitCode, nil
}
