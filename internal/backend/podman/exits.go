package podman

import (
	"context"
	"strconv"
	"sync"
)

// exits tells who waits for a container how it ended, from its event. Podman's own answer comes seconds later when it was
// the last container of its pod, which is ended with it.
type exits struct {
	mu      sync.Mutex
	waiting map[string]chan exit
}

// exit of a container, by ID or name.
type exit struct {
	container string
	code      int32
}

func newExits() *exits { return &exits{waiting: map[string]chan exit{}} }

// expect the end of the container of a test, by its pod. The caller gives up by calling forget.
func (x *exits) expect(pod string) (ended <-chan exit, forget func()) {
	end := make(chan exit, 1)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.waiting[pod] = end
	return end, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.waiting, pod)
	}
}

// heed an event of a container that ended.
func (x *exits) heed(e event) {
	code, err := strconv.ParseInt(e.labels["containerExitCode"], 10, 32)
	if e.action != "died" || err != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if ended, expected := x.waiting[e.labels[labelPod]]; expected {
		select {
		case ended <- exit{e.id, int32(code)}:
		default:
		}
	}
}

// exitOf waits for a container to end: for the event of it that is expected, or for Podman's answer, where no events come.
func (b *Backend) exitOf(ctx context.Context, container string, ended <-chan exit) (exit, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var code int32
	var err error
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		code, err = b.engine.wait(ctx, container)
	}()
	select {
	case e := <-ended:
		return e, nil
	case <-answered:
		return exit{container, code}, err
	}
}
