package node

import (
	"context"
	"io"
	"net/http"
	"time"
)

const (
	// keepPause is how long Keep waits after an agent that did not come up, and doubles up to keepPauseMax.
	keepPause    = 100 * time.Millisecond
	keepPauseMax = 10 * time.Second
)

// Keep starts the agent again as soon as it has died while it had an owner of this client's; the agent then serves all
// names at once, and nobody need say them again. It returns when ctx ends.
func (c *Client) Keep(ctx context.Context) {
	pause := keepPause
	for ctx.Err() == nil {
		if !c.needed() {
			select {
			case <-ctx.Done():
			case <-c.told:
			}
			continue
		}
		err := c.ensure(ctx)
		if err == nil {
			c.watch(ctx)
			c.doubt()
			pause = keepPause
			continue
		}
		if ctx.Err() == nil {
			c.log.Error("the node agent is down", "error", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, keepPauseMax)
	}
}

// needed tells whether the agent has an owner of this client's.
func (c *Client) needed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.owners) > 0
}

// tell notes whether the agent has an owner of this client's.
func (c *Client) tell(owner string, has bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !has {
		delete(c.owners, owner)
		return
	}
	c.owners[owner] = true
	select {
	case c.told <- struct{}{}:
	default:
	}
}

// watch returns when the agent is gone.
func (c *Client) watch(ctx context.Context) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node/watch", nil)
	if err != nil {
		return
	}
	response, err := c.http.Do(request)
	if err != nil {
		return
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
}

// serveWatch holds on to a client until one of both ends.
func serveWatch(end context.Context, w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush() // a client that is gone ends the request
	select {
	case <-r.Context().Done():
	case <-end.Done():
	}
}
