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
	rootless, err := a.engine.rootless(ctx)
	if err != nil {
		return nil, err
	}
	options := node.ClientOptions{Dir: node.DefaultDir(), Log: slog.New(logr.ToSlogHandler(a.log))}
	if options.Command, err = a.command(rootless, options.Dir); err != nil {
		return nil, err
	}
	c, err := node.NewClient(options)
	if err != nil {
		return nil, err
	}
	a.client, a.rootless = c, rootless
	go c.Keep(context.Background())
	return c, nil
}

// command starts the agent.
func (a *agent) command(rootless bool, dir string) ([]string, error) {
	program := a.program
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("finding the program of the node agent: %w", err)
		}
	}
	command := []string{program, "node", "--dir", dir}
	if rootless {
		command = append([]string{"podman", "unshare", "--rootless-netns"}, command...)
	}
	return command, nil
}
