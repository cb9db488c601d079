package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// ClientOptions say where the agent is and how it is started.
type ClientOptions struct {
	// Dir is the agent's folder; DefaultDir if empty.
	Dir string
	// Command starts an agent for Dir; `node --dir DIR` of this executable if empty. For a rootless Podman it is put into
	// the namespaces where its bridges are: podman unshare --rootless-netns MOCKUP node --dir DIR. A command that ends with 0
	// has had somebody else start the agent.
	Command []string
	Log     *slog.Logger
}

// Client tells the agent what should be, and starts it when there is none. It may be used by many at once.
type Client struct {
	dir     string
	command []string
	log     *slog.Logger
	http    *http.Client

	mu sync.Mutex
	// checked tells that the agent that answers is of this build.
	checked bool
	// owners that were told and not withdrawn.
	owners map[string]bool
	// told wakes Keep.
	told chan struct{}
}

// DefaultDir is /run/mockup/node for root, and $XDG_RUNTIME_DIR/mockup/node for others, where that is not set under
// /run/user/UID.
func DefaultDir() string {
	runtime := os.Getenv("XDG_RUNTIME_DIR")
	switch {
	case os.Geteuid() == 0:
		runtime = "/run"
	case runtime == "":
		runtime = fmt.Sprintf("/run/user/%d", os.Geteuid())
	}
	return filepath.Join(runtime, "mockup", "node")
}

// NewClient starts nothing yet.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Dir == "" {
		o.Dir = DefaultDir()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.Command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding the program file: %w", err)
		}
		o.Command = []string{self, "node", "--dir", o.Dir}
	}
	c := &Client{dir: o.Dir, command: o.Command, log: o.Log, owners: map[string]bool{}, told: make(chan struct{}, 1)}
	c.http = &http.Client{Transport: &http.Transport{DialContext: c.dial}}
	return c, nil
}

// dial connects to the agent's socket, whatever address is asked for.
func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", SocketPath(c.dir))
}

// Start has an agent run, so that the first Put need not wait for it.
func (c *Client) Start(ctx context.Context) error { return c.ensure(ctx) }

// Put makes state true for its owner, and returns when it is. What could not be made true for a pod is in the answer; an
// error means that some of it may not be true, and that the same call is to be made again.
func (c *Client) Put(ctx context.Context, state State) (Answer, error) {
	body, err := json.Marshal(state)
	if err != nil {
		return Answer{}, fmt.Errorf("encoding the node's state for %s: %w", state.Owner, err)
	}
	var answer Answer
	err = c.started(ctx, func() error {
		return c.call(ctx, http.MethodPut, "/owners/"+url.PathEscape(state.Owner), body, &answer)
	})
	if err != nil {
		return Answer{}, fmt.Errorf("telling the node agent the state of %s: %w", state.Owner, err)
	}
	c.tell(state.Owner, true)
	return answer, nil
}

// Delete withdraws all names of an owner. An owner that the agent does not know is no error.
func (c *Client) Delete(ctx context.Context, owner string) error {
	err := c.started(ctx, func() error {
		return c.call(ctx, http.MethodDelete, "/owners/"+url.PathEscape(owner), nil, nil)
	})
	if err != nil {
		return fmt.Errorf("withdrawing %s from the node agent: %w", owner, err)
	}
	c.tell(owner, false)
	return nil
}

// Dial connects by TCP to an address, IP:PORT, from where the agent is: in a rootless Podman's network namespace. The
// connection can be closed for writing alone (CloseWrite).
func (c *Client) Dial(ctx context.Context, address string) (net.Conn, error) {
	var conn net.Conn
	err := c.started(ctx, func() (err error) {
		conn, err = c.connect(ctx, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dialing %s by the node agent: %w", address, err)
	}
	return conn, nil
}

// absentError means that nobody answers at the socket, or one that is about to end.
type absentError struct{ error }

func (e absentError) Unwrap() error { return e.error }

// call the agent once.
func (c *Client) call(ctx context.Context, method, path string, body []byte, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://node"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		if ctx.Err() == nil { // no socket, nobody behind it, or one that ended over the request: all may be said again
			return absentError{err}
		}
		return err
	}
	defer response.Body.Close()
	if err := problem(response); err != nil {
		return err
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return absentError{fmt.Errorf("reading its answer: %w", err)}
	}
	return nil
}

// problem that an answer tells of.
func problem(response *http.Response) error {
	if response.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	err := errors.New(strings.TrimSpace(string(text)))
	if response.StatusCode == http.StatusServiceUnavailable {
		return absentError{err}
	}
	return err
}

// connect asks the agent for a connection, which then takes the place of the one to the agent.
func (c *Client) connect(ctx context.Context, address string) (net.Conn, error) {
	conn, err := c.dial(ctx, "", "")
	if err != nil {
		return nil, absentError{err}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	reader := bufio.NewReader(conn)
	err = requestConnect(conn, reader, address)
	if !stop() {
		return nil, ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &splicedConn{conn.(*net.UnixConn), reader}, nil
}

func requestConnect(conn net.Conn, reader *bufio.Reader, address string) error {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address}
	if err := request.Write(conn); err != nil {
		return absentError{err}
	}
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return absentError{err}
	}
	defer response.Body.Close() // of an error; a connection has none
	return problem(response)
}

// splicedConn is a connection of which the first bytes may have come with the agent's answer.
type splicedConn struct {
	*net.UnixConn
	reader *bufio.Reader
}

func (c *splicedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }
