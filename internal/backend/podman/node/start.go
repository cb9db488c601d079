package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout is how long an agent may take until it answers.
	startTimeout = 5 * time.Second
	// startPoll is how often an agent that was started is asked.
	startPoll = 5 * time.Millisecond
	// largestLog is the size in bytes beyond which an agent's log is emptied before the next is started.
	largestLog = 4 << 20
	// attempts is how often a call is made, since an agent may end just when it is called.
	attempts = 3
)

// LogPath is where agents that a Client started write what they log.
func LogPath(dir string) string { return filepath.Join(dir, "node.log") }

// started makes a call to an agent of this build, which is started if there is none.
func (c *Client) started(ctx context.Context, call func() error) (err error) {
	for range attempts {
		if err = c.ensure(ctx); err != nil {
			return err
		}
		var absent absentError
		if err = call(); !errors.As(err, &absent) {
			return err
		}
		c.doubt()
	}
	return err
}

// doubt that there is an agent.
func (c *Client) doubt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked = false
}

// ensure returns when an agent of this build answers. Of many callers, one starts it and all wait.
func (c *Client) ensure(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.checked {
		return nil
	}
	build, err := Build()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var absent absentError
	var running Version
	err = c.call(ctx, http.MethodGet, "/version", nil, &running)
	switch {
	case err == nil && running.Build == build:
	case err == nil:
		if err := c.replace(ctx, running, build); err != nil {
			return err
		}
	case errors.As(err, &absent):
		if err := c.start(ctx, build); err != nil {
			return err
		}
	default:
		return fmt.Errorf("asking the node agent for its version: %w", err)
	}
	c.checked = true
	return nil
}

// replace an agent of another build. It keeps what it was told in a file, from which the next one serves at once.
func (c *Client) replace(ctx context.Context, running Version, build string) error {
	c.log.Info("replacing the node agent of another build", "pid", running.PID, "runs", running.Build, "wanted", build)
	if err := c.call(ctx, http.MethodPost, "/stop", nil, nil); err != nil && !errors.As(err, new(absentError)) {
		return fmt.Errorf("ending the node agent of build %s: %w", running.Build, err)
	}
	return c.start(ctx, build)
}

// start an agent and wait until one of this build answers. It may be another client's: then ours sees that and ends.
func (c *Client) start(ctx context.Context, build string) error {
	ended, err := c.spawn()
	if err != nil {
		return err
	}
	ticker := time.NewTicker(startPoll)
	defer ticker.Stop()
	for {
		var running Version
		err := c.call(ctx, http.MethodGet, "/version", nil, &running)
		if err == nil && running.Build == build {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("process %d of build %s answers", running.PID, running.Build)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the node agent: %w; %w; its log %s ends with: %s", ctx.Err(), err, LogPath(c.dir), c.lastWords())
		case code := <-ended:
			if code == 0 { // it had somebody else start the agent: systemctl does
				ended = nil
				continue
			}
			if code != ExitRunning {
				return fmt.Errorf("the node agent ended as soon as it was started, with code %d; its log %s ends with: %s",
					code, LogPath(c.dir), c.lastWords())
			}
			// Somebody else's holds the lock: it is about to answer, or about to end.
			if ended, err = c.respawn(ctx); err != nil {
				return err
			}
		case <-ticker.C:
		}
	}
}

// respawn tries again after a moment in which another agent may have come up.
func (c *Client) respawn(ctx context.Context) (<-chan int, error) {
	if c.call(ctx, http.MethodGet, "/version", nil, new(Version)) == nil {
		return nil, nil
	}
	return c.spawn()
}

// ExitRunning is the exit code of an agent that found another one running in its folder.
const ExitRunning = 4

// spawn starts the agent in a session of its own, so that it outlives this process. Its exit code comes when it ends.
func (c *Client) spawn() (ended <-chan int, err error) {
	if err := makeDir(c.dir); err != nil {
		return nil, err
	}
	log, err := c.openLog()
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.command[0], c.command[1:]...)
	cmd.Dir = "/" // no folder of the user's is held
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the node agent: %w", err)
	}
	code := make(chan int, 1)
	go func() {
		_ = cmd.Wait() // else it stays as a zombie for as long as we live
		code <- cmd.ProcessState.ExitCode()
	}()
	return code, nil
}

func (c *Client) openLog() (*os.File, error) {
	path := LogPath(c.dir)
	flags := os.O_CREATE | os.O_APPEND | os.O_WRONLY
	if info, err := os.Stat(path); err == nil && info.Size() > largestLog {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the node agent's log: %w", err)
	}
	return file, nil
}

// lastWords are the last line of the log.
func (c *Client) lastWords() string {
	content, _ := os.ReadFile(LogPath(c.dir))
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return "nothing"
}
