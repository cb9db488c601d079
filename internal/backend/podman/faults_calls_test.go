package podman

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"mockup.dev/mockup/internal/backend/podman/node"
)

// harm is what happens to one call.
type harm string

const (
	// fails: before it takes effect.
	fails harm = "fails"
	// lost: it takes effect, and its answer is lost.
	lost harm = "answer lost"
	// killed: this process is no more when it would begin.
	killed harm = "killed before"
	// killedAmid: this process is no more while it is under way.
	killedAmid harm = "killed amid"
)

func allHarms() []harm { return []harm{fails, lost, killed, killedAmid} }

// position of a call: the nth of its name.
type position struct {
	name string
	nth  int
}

func (p position) String() string { return fmt.Sprintf("%s #%d", p.name, p.nth) }

// fault is a harm at a position; the zero fault is none.
type fault struct {
	position
	harm harm
}

// calls go through to Podman and to the node agent and are counted, and one of them comes to harm. When the harm is death,
// none returns from then on, as in a process that was killed, until the instance is dropped; requests that are under way
// are cut off.
type calls struct {
	engine engine
	agent  nodeAgent
	fault  fault

	mu      sync.Mutex
	counted map[string]int
	fired   bool

	// life ends with death.
	life    context.Context
	die     context.CancelFunc
	dropped chan struct{}
}

var (
	_ engine    = (*calls)(nil)
	_ nodeAgent = callsToNode{}
)

func newCalls(e engine, n nodeAgent, f fault) *calls {
	c := &calls{engine: e, agent: n, fault: f, counted: map[string]int{}, dropped: make(chan struct{})}
	c.life, c.die = context.WithCancel(context.Background())
	return c
}

var (
	errFault   = errors.New("injected: internal server error")
	errDropped = errors.New("the process is no more")
)

// answerLost looks as a connection does that breaks before the answer.
func answerLost() error {
	return fmt.Errorf("injected: %w", &net.OpError{Op: "read", Net: "unix", Err: syscall.ECONNRESET})
}

// total of calls so far.
func (c *calls) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, k := range c.counted {
		n += k
	}
	return n
}

// positions of all calls so far, by name.
func (c *calls) positions() []position {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []position
	for _, name := range slices.Sorted(maps.Keys(c.counted)) {
		for n := range c.counted[name] {
			all = append(all, position{name, n + 1})
		}
	}
	return all
}

func (c *calls) hasFired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fired
}

// next counts a call and says what is to happen to it.
func (c *calls) next(name string) harm {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted[name]++
	if c.fault.position != (position{name, c.counted[name]}) {
		return ""
	}
	c.fired = true
	return c.fault.harm
}

// pass makes one call.
func (c *calls) pass(ctx context.Context, name string, do func(context.Context) error) error {
	if c.life.Err() != nil {
		return c.silence()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	h := c.next(name)
	switch h {
	case fails:
		return errFault
	case killed:
		c.die()
		return c.silence()
	case killedAmid:
		time.AfterFunc(time.Duration(rand.Int64N(int64(200*time.Millisecond))), c.die)
	}
	err := do(ctx)
	if h == killedAmid {
		c.die()
	}
	if c.life.Err() != nil {
		return c.silence()
	}
	if h == lost {
		return answerLost()
	}
	return err
}

// silence of the dead.
func (c *calls) silence() error {
	<-c.dropped
	return errDropped
}

// dial is for probes, which are no calls of the client.
func (c *calls) dial(ctx context.Context, address string) (net.Conn, error) {
	if c.life.Err() != nil {
		return nil, c.silence()
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// ask makes a call with a result.
func ask[T any](ctx context.Context, c *calls, name string, do func(context.Context) (T, error)) (result T, err error) {
	err = c.pass(ctx, name, func(ctx context.Context) (err error) {
		result, err = do(ctx)
		return err
	})
	if err != nil {
		result = *new(T)
	}
	return result, err
}

// perhaps is a result that may not be there.
type perhaps[T any] struct {
	value T
	there bool
}

func find[T any](ctx context.Context, c *calls, name, what string, look func(context.Context, string) (T, bool, error)) (T, bool, error) {
	p, err := ask(ctx, c, name, func(ctx context.Context) (p perhaps[T], err error) {
		p.value, p.there, err = look(ctx, what)
		return p, err
	})
	return p.value, p.there, err
}

func (c *calls) pods(ctx context.Context, owner string) ([]podInfo, error) {
	return ask(ctx, c, "pods", func(ctx context.Context) ([]podInfo, error) { return c.engine.pods(ctx, owner) })
}

func (c *calls) podNamed(ctx context.Context, name string) (podInfo, bool, error) {
	return find(ctx, c, "podNamed", name, c.engine.podNamed)
}

func (c *calls) network(ctx context.Context, id string) (podNetwork, error) {
	return ask(ctx, c, "network", func(ctx context.Context) (podNetwork, error) { return c.engine.network(ctx, id) })
}

func (c *calls) connect(ctx context.Context, network, id string, e endpoint) error {
	return c.pass(ctx, "connect", func(ctx context.Context) error { return c.engine.connect(ctx, network, id, e) })
}

func (c *calls) disconnect(ctx context.Context, network, id string) error {
	return c.pass(ctx, "disconnect", func(ctx context.Context) error { return c.engine.disconnect(ctx, network, id) })
}

func (c *calls) play(ctx context.Context, p playRequest) error {
	return c.pass(ctx, "play", func(ctx context.Context) error { return c.engine.play(ctx, p) })
}

func (c *calls) restartPod(ctx context.Context, id string) error {
	return c.pass(ctx, "restartPod", func(ctx context.Context) error { return c.engine.restartPod(ctx, id) })
}

func (c *calls) removePod(ctx context.Context, id string, grace time.Duration) error {
	return c.pass(ctx, "removePod", func(ctx context.Context) error { return c.engine.removePod(ctx, id, grace) })
}

func (c *calls) startContainer(ctx context.Context, id string) error {
	return c.pass(ctx, "startContainer", func(ctx context.Context) error { return c.engine.startContainer(ctx, id) })
}

func (c *calls) restartContainer(ctx context.Context, id string) error {
	return c.pass(ctx, "restartContainer", func(ctx context.Context) error { return c.engine.restartContainer(ctx, id) })
}

func (c *calls) setRestart(ctx context.Context, id string, policy restartPolicy) error {
	return c.pass(ctx, "setRestart", func(ctx context.Context) error { return c.engine.setRestart(ctx, id, policy) })
}

func (c *calls) details(ctx context.Context, id string) (containerDetails, error) {
	return ask(ctx, c, "details", func(ctx context.Context) (containerDetails, error) { return c.engine.details(ctx, id) })
}

func (c *calls) wait(ctx context.Context, id string) (int32, error) {
	return ask(ctx, c, "wait", func(ctx context.Context) (int32, error) { return c.engine.wait(ctx, id) })
}

func (c *calls) volumes(ctx context.Context, owner string) ([]volumeInfo, error) {
	return ask(ctx, c, "volumes", func(ctx context.Context) ([]volumeInfo, error) { return c.engine.volumes(ctx, owner) })
}

func (c *calls) volumeNamed(ctx context.Context, name string) (volumeInfo, bool, error) {
	return find(ctx, c, "volumeNamed", name, c.engine.volumeNamed)
}

func (c *calls) createVolume(ctx context.Context, v volumeInfo) error {
	return c.pass(ctx, "createVolume", func(ctx context.Context) error { return c.engine.createVolume(ctx, v) })
}

func (c *calls) fillVolume(ctx context.Context, name string, archive io.Reader) error {
	return c.pass(ctx, "fillVolume", func(ctx context.Context) error { return c.engine.fillVolume(ctx, name, archive) })
}

func (c *calls) removeVolume(ctx context.Context, name string) error {
	return c.pass(ctx, "removeVolume", func(ctx context.Context) error { return c.engine.removeVolume(ctx, name) })
}

func (c *calls) networks(ctx context.Context, owner string) ([]networkInfo, error) {
	return ask(ctx, c, "networks", func(ctx context.Context) ([]networkInfo, error) { return c.engine.networks(ctx, owner) })
}

func (c *calls) networkNamed(ctx context.Context, name string) (networkInfo, bool, error) {
	return find(ctx, c, "networkNamed", name, c.engine.networkNamed)
}

func (c *calls) createNetwork(ctx context.Context, n networkInfo) error {
	return c.pass(ctx, "createNetwork", func(ctx context.Context) error { return c.engine.createNetwork(ctx, n) })
}

func (c *calls) removeNetwork(ctx context.Context, name string) error {
	return c.pass(ctx, "removeNetwork", func(ctx context.Context) error { return c.engine.removeNetwork(ctx, name) })
}

func (c *calls) tests(ctx context.Context) (pods []podInfo, volumes []volumeInfo, err error) {
	err = c.pass(ctx, "tests", func(ctx context.Context) (err error) {
		pods, volumes, err = c.engine.tests(ctx)
		return err
	})
	return pods, volumes, err
}

func (c *calls) image(ctx context.Context, ref string) (imageInfo, error) {
	return ask(ctx, c, "image", func(ctx context.Context) (imageInfo, error) { return c.engine.image(ctx, ref) })
}

func (c *calls) pullImage(ctx context.Context, ref string) error {
	return c.pass(ctx, "pullImage", func(ctx context.Context) error { return c.engine.pullImage(ctx, ref) })
}

func (c *calls) logs(ctx context.Context, container string, o logRequest, out io.Writer) error {
	return c.pass(ctx, "logs", func(ctx context.Context) error { return c.engine.logs(ctx, container, o, out) })
}

func (c *calls) exec(ctx context.Context, container string, e execRequest) (int, error) {
	return ask(ctx, c, "exec", func(ctx context.Context) (int, error) { return c.engine.exec(ctx, container, e) })
}

func (c *calls) signal(ctx context.Context, id, name string) error {
	return c.pass(ctx, "signal", func(ctx context.Context) error { return c.engine.signal(ctx, id, name) })
}

func (c *calls) place(ctx context.Context) (place, error) {
	return ask(ctx, c, "place", c.engine.place)
}

// events whose answer is lost break off at the first one.
func (c *calls) events(ctx context.Context, ready func(), send func(event)) error {
	c.mu.Lock()
	cutting := c.fault == fault{position{"events", c.counted["events"] + 1}, lost}
	c.mu.Unlock()
	return c.pass(ctx, "events", func(ctx context.Context) error {
		ctx, cut := context.WithCancel(ctx)
		defer cut()
		return c.engine.events(ctx, ready, func(e event) {
			if cutting {
				cut()
				return
			}
			send(e)
		})
	})
}

// callsToNode are the calls to the node agent.
type callsToNode struct{ *calls }

func (c callsToNode) Put(ctx context.Context, s node.State) (node.Answer, error) {
	return ask(ctx, c.calls, "node.Put", func(ctx context.Context) (node.Answer, error) { return c.agent.Put(ctx, s) })
}

func (c callsToNode) Delete(ctx context.Context, owner string) error {
	return c.pass(ctx, "node.Delete", func(ctx context.Context) error { return c.agent.Delete(ctx, owner) })
}

func (c callsToNode) Usage(ctx context.Context, folder string) (int64, error) {
	return ask(ctx, c.calls, "node.Usage", func(ctx context.Context) (int64, error) { return c.agent.Usage(ctx, folder) })
}

// TestCallsComeToHarm holds the wrapper itself to what it promises.
func TestCallsComeToHarm(t *testing.T) {
	for _, h := range allHarms() {
		done := 0
		c := newCalls(nil, nil, fault{position{"play", 2}, h})
		play := func() error {
			return c.pass(t.Context(), "play", func(context.Context) error { done++; return nil })
		}
		if err := play(); err != nil || done != 1 {
			t.Fatalf("%s: the first call: %v, done %d times", h, err, done)
		}
		time.AfterFunc(50*time.Millisecond, func() { close(c.dropped) })
		err := play()
		effect := map[harm]int{fails: 1, lost: 2, killed: 1, killedAmid: 2}[h]
		if err == nil || done != effect || (c.life.Err() != nil) != errors.Is(err, errDropped) {
			t.Errorf("%s: the second call: %v, done %d times, life %v", h, err, done, c.life.Err())
		}
	}
}
