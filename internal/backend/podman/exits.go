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
	waiting map[string]chan int32
}

func newExits() *exits { return &exits{waiting: map[string]chan int32{}} }

// expect the end of a container by its name. The caller gives up by calling forget.
func (x *exits) expect(container string) (code <-chan int32, forget func()) {
	ended := make(chan int32, 1)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.waiting[container] = ended
	return ended, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.waiting, container)
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
	if ended, expected := x.waiting[e.name]; expected {
		select {
		case ended <- int32(code):
		default:
		}
	}
}

// exitCode waits for a container to end: for the event of it that is expected, or for Podman's answer, where no events come.
func (b *Backend) exitCode(ctx context.Context, container string, ended <-chan int32) (int32, error) {
	type answer struct {
		code int32
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := make(chan answer, 1)
	go func() {
		code, err := b.engine.wait(ctx, container)
		asked <- answer{code, err}
	}()
	select {
	case code := <-ended:
		return code, nil
	case a := <-asked:
		return a.code, a.err
	}
}
