// Package podmansocket finds Podman's API socket and asks it what the command line needs to know beside what a backend
// tells: versions, settings, and what is there whoever made it. It speaks plain HTTP, so that it can also diagnose a
// Podman that is too old for its own Go bindings.
package podmansocket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Env is Podman's own environment variable that names the socket.
const Env = "CONTAINER_HOST"

// pingTimeout bounds the question whether a socket answers. A service that is just being started by systemd needs a
// second.
const pingTimeout = 5 * time.Second

// Candidates are the URIs at which a socket is looked for, best first. One that the user names is the only one.
func Candidates(named string) []string {
	if named == "" {
		named = os.Getenv(Env)
	}
	if named != "" {
		return []string{named}
	}
	var found []string
	if os.Geteuid() == 0 {
		found = append(found, "unix:///run/podman/podman.sock")
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		found = append(found, "unix://"+filepath.Join(dir, "podman", "podman.sock"))
	}
	if len(found) == 0 {
		found = append(found, fmt.Sprintf("unix:///run/user/%d/podman/podman.sock", os.Geteuid()))
	}
	return found
}

// Find returns the first candidate that answers. The error says what each of them answered.
func Find(ctx context.Context, named string) (string, error) {
	var failures []error
	for _, uri := range Candidates(named) {
		client, err := New(uri)
		if err == nil {
			_, err = client.Ping(ctx)
		}
		if err == nil {
			return uri, nil
		}
		failures = append(failures, err)
	}
	return "", fmt.Errorf("no Podman socket answers: %w", errors.Join(failures...))
}

// Path is the file of a unix socket, empty for another kind of URI.
func Path(uri string) string {
	path, ok := strings.CutPrefix(uri, "unix://")
	if !ok {
		return ""
	}
	return path
}

// Client asks one socket.
type Client struct {
	uri  string
	http *http.Client
	base string
}

// New returns a client of the socket at uri, unix:// or tcp://. It connects with the first request.
func New(uri string) (*Client, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("reading the URI of Podman's socket: %w", err)
	}
	dialer := &net.Dialer{}
	switch u.Scheme {
	case "unix":
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", u.Path)
		}}
		return &Client{uri: uri, http: &http.Client{Transport: transport}, base: "http://podman"}, nil
	case "tcp":
		return &Client{uri: uri, http: &http.Client{}, base: "http://" + u.Host}, nil
	}
	return nil, fmt.Errorf("%s is no Podman socket for mockup: only unix:// and tcp:// are supported, for pods must be reached from here", uri)
}

// Ping is nil if a Podman answers, and tells its version. Unlike Info and the API's own version call it starts no other
// program, and takes a millisecond instead of a second.
func (c *Client) Ping(ctx context.Context) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	header, err := c.do(ctx, http.MethodGet, "/_ping", nil)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.uri, err)
	}
	return header.Get("Libpod-API-Version"), nil
}

// get asks for path of the libpod API and decodes the answer into out.
func (c *Client) get(ctx context.Context, path string, out any) error {
	_, err := c.do(ctx, http.MethodGet, "/v4.0.0/libpod"+path, out)
	return err
}

// statusError is an answer other than success.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return fmt.Sprintf("Podman answered %d: %s", e.code, e.message) }

func (c *Client) do(ctx context.Context, method, path string, out any) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 4096)) // only for the message
		return nil, &statusError{response.StatusCode, message(body)}
	}
	if out == nil {
		return response.Header, nil
	}
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		return nil, fmt.Errorf("decoding Podman's answer to %s: %w", path, err)
	}
	return response.Header, nil
}

// message is what Podman says in an error's body.
func message(body []byte) string {
	var model struct{ Message string }
	if json.Unmarshal(body, &model) == nil && model.Message != "" {
		return model.Message
	}
	return strings.TrimSpace(string(body))
}

// withoutURL drops the invented host name of the request, which confuses a reader.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
