package podman

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"

	"github.com/go-logr/logr"

	"mockup.dev/mockup/internal/backend/podman/node"
	"mockup.dev/mockup/internal/systemd"
)

// agent is the node agent of this Podman, whose client is made when Podman has said whether it is rootless: then the
// networks are in a namespace of its own, which `podman unshare` enters.
type agent struct {
	engine  engine
	program string
	log     logr.Logger

	mu       sync.Mutex
	client   *node.Client
	rootless bool
}

func (a *agent) Put(ctx context.Context, state node.State) (node.Answer, error) {
	c, err := a.connect(ctx)
	if err != nil {
		return node.Answer{}, err
	}
	return c.Put(ctx, state)
}

func (a *agent) Delete(ctx context.Context, owner string) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	return c.Delete(ctx, owner)
}

// Usage is measured here, where this user may read everything; for a rootless Podman by the agent, in its user namespace.
func (a *agent) Usage(ctx context.Context, folder string) (int64, error) {
	c, err := a.connect(ctx)
	if err != nil {
		return 0, err
	}
	if a.rootless {
		return c.Usage(ctx, folder)
	}
	return node.Usage(ctx, folder)
}

// ListenNodePort has this program be the one that pods reach at a port of the node, by Services that have
// manifests.AnnotationNodePort.
func ListenNodePort(port uint16) (net.Listener, error) {
	return node.ListenPort(node.DefaultDir(), port)
}

// start has the agent run before it is needed.
func (a *agent) start(ctx context.Context) {
	c, err := a.connect(ctx)
	if err == nil {
		err = c.Start(ctx)
	}
	if err != nil { // whoever needs it says so
		a.log.V(1).Info("the node agent could not be started early", "error", err.Error())
	}
}

// dial connects to an address on the pods' networks: from here, unless Podman is rootless.
func (a *agent) dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	if a.rootless {
		return c.Dial(ctx, address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

func (a *agent) connect(ctx context.Context) (*node.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client != nil {
		return a.client, nil
	}
	where, err := a.engine.place(ctx)
	if err != nil {
		return nil, err
	}
	options := node.ClientOptions{Dir: node.DefaultDir(), Log: slog.New(logr.ToSlogHandler(a.log))}
	if options.Command, err = a.command(where.rootless, options.Dir); err != nil {
		return nil, err
	}
	c, err := node.NewClient(options)
	if err != nil {
		return nil, err
	}
	a.client, a.rootless = c, where.rootless
	go c.Keep(context.Background())
	return c, nil
}

// command starts the agent. An operator that systemd runs has it started by its own unit, so that it is not in the
// operator's cgroup and not bound by what the operator may not do.
func (a *agent) command(rootless bool, dir string) ([]string, error) {
	if unit := systemd.NodeCommand(); unit != nil {
		return unit, nil
	}
	program := a.program
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("finding the program of the node agent: %w", err)
		}
	}
	command := []string{program, "node", "--dir", dir}
	if rootless {
		command = append(systemd.InRootlessNetwork("podman"), command...)
	}
	return command, nil
}
