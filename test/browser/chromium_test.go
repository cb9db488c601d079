package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// flags for a machine without a display and without a network.
var flags = []string{
	"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
	"--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en",
	"--remote-debugging-pipe", "about:blank",
}

// The programs that these tests need, and the packages of Debian that have them.
const (
	browserProgram     = "chromium"
	certificateProgram = "certutil"
	packages           = "chromium libnss3-tools"
)

// installed is an error that says how to mend it if a program is missing. Nothing is skipped: a page that nobody has
// looked at is not known to work.
func installed() error {
	for _, program := range []string{browserProgram, certificateProgram} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w; run: sudo apt-get install %s", err, packages)
		}
	}
	return nil
}

// chromium is a browser that is told what to do by the Chrome DevTools Protocol: JSON messages that end with a zero
// byte, over its file descriptors 3 and 4. https://chromedevtools.github.io/devtools-protocol/
type chromium struct {
	process *exec.Cmd
	in      io.WriteCloser
	output  string // file

	mu      sync.Mutex
	next    int
	waiting map[int]chan message
	events  []message
	ended   error
}

// message is a command, its answer, or an event.
type message struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// start starts Chromium with home as its home folder, where it also finds the authorities to trust: see trust.
func start(home string) (*chromium, error) {
	commands, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	out, answers, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	c := &chromium{in: in, output: filepath.Join(home, "chromium.log"), waiting: map[int]chan message{}}
	c.process = exec.Command(browserProgram, append([]string{"--user-data-dir=" + filepath.Join(home, "profile")}, flags...)...)
	c.process.Env = append(os.Environ(), "HOME="+home)
	c.process.ExtraFiles = []*os.File{commands, answers}
	log, err := os.Create(c.output)
	if err != nil {
		return nil, fmt.Errorf("making the browser's log: %w", err)
	}
	defer log.Close()
	c.process.Stdout, c.process.Stderr = log, log
	err = c.process.Start()
	_, _ = commands.Close(), answers.Close() // the browser's now
	if err != nil {
		return nil, fmt.Errorf("starting the browser: %w", err)
	}
	go c.read(out)
	return c, nil
}

// trust makes ca an authority for the browser that is started with this home folder, as a user's own profile would.
func trust(ctx context.Context, home, ca string) error {
	store := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(store, 0o700); err != nil {
		return fmt.Errorf("making the browser's certificate store: %w", err)
	}
	for _, args := range [][]string{
		{"-N", "-d", "sql:" + store, "--empty-password"},
		{"-A", "-d", "sql:" + store, "-n", "mockup", "-t", "C,,", "-i", ca},
	} {
		if out, err := exec.CommandContext(ctx, certificateProgram, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("trusting %s: %w: %s", ca, err, out)
		}
	}
	return nil
}

// read hands out answers and keeps events, until the browser ends.
func (c *chromium) read(out io.ReadCloser) {
	defer out.Close()
	messages := bufio.NewReader(out)
	for {
		content, err := messages.ReadBytes(0)
		if err != nil {
			c.end(fmt.Errorf("the browser ended: %w; it said:\n%s", err, c.log()))
			return
		}
		var m message
		if err := json.Unmarshal(content[:len(content)-1], &m); err != nil {
			c.end(fmt.Errorf("the browser sent %q: %w", content, err))
			return
		}
		c.mu.Lock()
		if m.ID == 0 {
			c.events = append(c.events, m)
		} else if waiting := c.waiting[m.ID]; waiting != nil {
			delete(c.waiting, m.ID)
			waiting <- m
		}
		c.mu.Unlock()
	}
}

func (c *chromium) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = err
	for _, waiting := range c.waiting {
		close(waiting)
	}
	c.waiting = nil
}

func (c *chromium) log() string {
	content, err := os.ReadFile(c.output)
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-4000):])
}

// call sends a command to a page (session), or to the browser itself if that is empty, and decodes the answer into
// result unless that is nil.
func (c *chromium) call(ctx context.Context, session, method string, params, result any) error {
	answer, err := c.send(session, method, params)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s: the browser gave no answer: %w", method, ctx.Err())
	case m, open := <-answer:
		switch {
		case !open:
			return fmt.Errorf("%s: %w", method, c.ended)
		case m.Error != nil:
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		case result == nil:
			return nil
		}
		if err := json.Unmarshal(m.Result, result); err != nil {
			return fmt.Errorf("%s: decoding %s: %w", method, m.Result, err)
		}
		return nil
	}
}

func (c *chromium) send(session, method string, params any) (<-chan message, error) {
	encoded, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("encoding parameters: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return nil, c.ended
	}
	c.next++
	content, err := json.Marshal(message{ID: c.next, SessionID: session, Method: method, Params: encoded})
	if err != nil {
		return nil, fmt.Errorf("encoding a command: %w", err)
	}
	answer := make(chan message, 1)
	c.waiting[c.next] = answer
	if _, err := c.in.Write(append(content, 0)); err != nil {
		return nil, fmt.Errorf("telling the browser: %w", err)
	}
	return answer, nil
}

// seen are the events of a method so far.
func (c *chromium) seen(method string) (found []json.RawMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if e.Method == method {
			found = append(found, e.Params)
		}
	}
	return found
}

// stop ends the browser.
func (c *chromium) stop() {
	_ = c.in.Close() // it ends when its commands do
	done := make(chan struct{})
	go func() {
		_ = c.process.Wait() // killed or not, it is gone
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		_ = c.process.Process.Kill()
		<-done
	}
}
