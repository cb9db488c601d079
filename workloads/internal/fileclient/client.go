// Package fileclient speaks to mime-server.
//
// It never repeats a request by itself. Names are resolved at each new
// connection, and connections live briefly, so a mime-server that comes back
// under another address is found at once.
package fileclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mockup.dev/mockup/workloads/internal/problem"
	"mockup.dev/mockup/workloads/internal/telemetry"
)

const (
	dialTimeout   = 2 * time.Second  // resolving the name included
	headerTimeout = 30 * time.Second // from a request sent whole to the first of its response
	callTimeout   = 10 * time.Second // for a call that moves no file, as a whole
	stallTimeout  = 60 * time.Second // for a file that does not move
	idleTimeout   = 5 * time.Second  // of a connection kept for the next read
	maxDocument   = 64 << 20         // bytes of a JSON answer
)

// ErrUnavailable is wrapped by every error for a mime-server that does not answer.
var ErrUnavailable = errors.New("mime-server does not answer")

// Error is a refusal by mime-server.
type Error struct {
	Status int
	Detail string
}

func (e *Error) Error() string {
	return fmt.Sprintf("mime-server answered %d: %s", e.Status, e.Detail)
}

// File is a stored file.
type File struct {
	Name     string    `json:"name"`
	Size     int64     `json:"size"` // bytes
	Type     string    `json:"type"`
	SHA256   string    `json:"sha256,omitempty"` // hexadecimal; "" while mime-server has not computed it
	Modified time.Time `json:"modified"`
}

// Listing is all that is stored.
type Listing struct {
	Files          []File `json:"files"`
	Bytes          int64  `json:"bytes"`
	MaxUploadBytes int64  `json:"maxUploadBytes"`
}

// Client calls one mime-server. It may be used by many goroutines.
type Client struct {
	base  *url.URL
	reads *http.Client
	// writes never reuse a connection: the other side may be closing it, and a
	// request lost that way could not be sent again.
	writes *http.Client
	// probes are kept out of the traces.
	probes *http.Client
}

// New returns a client of the mime-server at base.
func New(base *url.URL) *Client {
	fresh := transport(false)
	return &Client{
		base:   base,
		reads:  client(telemetry.Transport(transport(true))),
		writes: client(telemetry.Transport(fresh)),
		probes: client(fresh),
	}
}

func transport(keepAlive bool) *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		ResponseHeaderTimeout: headerTimeout,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConnsPerHost:   32,
		DisableKeepAlives:     !keepAlive,
		DisableCompression:    true,
	}
}

func client(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// List lists all files by name.
func (c *Client) List(ctx context.Context) (Listing, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response, err := c.send(ctx, c.reads, http.MethodGet, c.address("", nil), nil, nil)
	if err != nil {
		return Listing{}, err
	}
	defer response.Body.Close()
	list := Listing{}
	return list, decode(response, &list)
}

// Get asks for a file by GET or HEAD, passing on those of the given headers
// that concern ranges and caching. The caller closes the response's body; the
// status is 200, 206, 304, 412 or 416.
func (c *Client) Get(ctx context.Context, method, name string, query url.Values, header http.Header) (*http.Response, error) {
	passed := http.Header{}
	for _, key := range []string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if values := header[key]; len(values) > 0 {
			passed[key] = values
		}
	}
	return c.send(ctx, c.reads, method, c.address(name, query), passed, nil)
}

// Upload stores body as name, or as "name (2)" if name is taken by another
// content, and returns the file as it is stored.
func (c *Client) Upload(ctx context.Context, name string, body io.Reader) (File, error) {
	query := url.Values{"name": {name}, "conflict": {"number"}}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	response, err := c.send(ctx, c.writes, http.MethodPost, c.address("", query), header, body)
	if err != nil {
		return File{}, err
	}
	defer response.Body.Close()
	file := File{}
	return file, decode(response, &file)
}

// Delete removes a file.
func (c *Client) Delete(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response, err := c.send(ctx, c.writes, http.MethodDelete, c.address(name, nil), nil, nil)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// Probe tells whether mime-server is ready, in words fit for everybody.
func (c *Client) Probe(ctx context.Context) error {
	response, err := c.send(ctx, c.probes, http.MethodGet, c.base.JoinPath("readyz").String(), nil, nil)
	var refused *Error
	if errors.As(err, &refused) {
		return errors.New("mime-server is not ready")
	}
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// address of a file, or of the list. A name is one segment, with its slashes
// escaped, and dots alone are escaped too: no server on the way shall take a
// name for a path and tidy it up.
func (c *Client) address(name string, query url.Values) string {
	text := c.base.JoinPath("files").String()
	if name != "" {
		segment := url.PathEscape(name)
		if name == "." || name == ".." {
			segment = strings.ReplaceAll(name, ".", "%2E")
		}
		text += "/" + segment
	}
	if len(query) > 0 {
		text += "?" + query.Encode()
	}
	return text
}

// send sends one request, once. It ends it if nothing moves for stallTimeout,
// until the response's body is closed.
func (c *Client) send(ctx context.Context, by *http.Client, method, address string, header http.Header, body io.Reader) (*http.Response, error) {
	ctx, watch := watchProgress(ctx)
	if body != nil {
		body = watch.reader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		watch.end()
		return nil, fmt.Errorf("calling mime-server: %w", err)
	}
	for key, values := range header {
		request.Header[key] = values
	}
	response, err := by.Do(request)
	if err != nil {
		watch.end()
		return nil, watch.explain(err)
	}
	response.Body = watch.body(response.Body)
	if answers(method, response.StatusCode) {
		return response, nil
	}
	defer response.Body.Close()
	return nil, refusal(response)
}

// answers tells an answer from a refusal: a range or a condition that does not
// fit is an answer about the file, for whoever asked.
func answers(method string, status int) bool {
	switch status {
	case http.StatusNotModified, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return method == http.MethodGet || method == http.MethodHead
	}
	return status < 300 // mime-server redirects nobody who names files rightly
}

func refusal(response *http.Response) error {
	var details problem.Details
	if json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&details) != nil || details.Detail == "" {
		details.Detail = http.StatusText(response.StatusCode)
	}
	return &Error{Status: response.StatusCode, Detail: details.Detail}
}

func decode(response *http.Response, into any) error {
	if err := json.NewDecoder(io.LimitReader(response.Body, maxDocument)).Decode(into); err != nil {
		return fmt.Errorf("%w as expected: %w", ErrUnavailable, err)
	}
	return nil
}
