package podman

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/podman/node"
	"mockup.dev/mockup/manifests"
)

// rig is what these tests stand on: the real Podman of a sandbox and a node agent.
type rig struct {
	t *testing.T
	// socket of Podman's service.
	socket string
	// dir of the node agent.
	dir  string
	node *node.Client
	// podman is another way to Podman than the backend's.
	podman *libpod
}

// patience is how long anything may take.
const patience = 90 * time.Second

func newRig(t *testing.T) *rig {
	t.Helper()
	socket, ok := strings.CutPrefix(os.Getenv("CONTAINER_HOST"), "unix://")
	if !ok {
		t.Fatal("CONTAINER_HOST names no unix socket of a Podman service: run this test by hack/sandbox")
	}
	makeGuest(t)
	r := &rig{t: t, socket: socket, dir: "/run/mockup/faults-node", podman: newLibpod(socket)}
	var err error
	r.node, err = node.NewClient(node.ClientOptions{Dir: r.dir, Command: []string{os.Args[0], "node", "--dir", r.dir}}) // see TestMain
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// operator drives one backend as the controllers do: it applies when a change is reported, and again with back-off after
// an error. When the backend's process is "killed", another takes its place.
type operator struct {
	*rig
	ctx context.Context
	// fault that the first instance meets.
	fault fault
	// uri of Podman's socket.
	uri string
	log logr.Logger

	calls   *calls
	backend *Backend
	end     context.CancelFunc
	changes <-chan manifests.Owner
	// killed counts the instances that came to death.
	killed int
	// beside is who must not be touched, or nobody.
	beside *bystander
	// errs are what Apply returned.
	errs []error
}

// operate starts an operator that meets a fault.
func (r *rig) operate(t *testing.T, f fault) *operator {
	o := &operator{rig: r, ctx: t.Context(), fault: f, uri: "unix://" + r.socket, log: logr.Discard()}
	o.start(f)
	t.Cleanup(o.drop)
	return o
}

func (o *operator) start(f fault) {
	o.calls = newCalls(&client{uri: o.uri}, o.node, f)
	o.backend = newBackend(o.calls, callsToNode{o.calls}, o.calls.dial, Options{Log: o.log})
	var ctx context.Context
	ctx, o.end = context.WithCancel(o.ctx)
	o.changes = o.backend.Changes(ctx)
}

// drop lets go of the instance, alive or dead.
func (o *operator) drop() {
	o.end()
	o.calls.die()
	select {
	case <-o.calls.dropped:
	default:
		close(o.calls.dropped)
	}
	o.backend.prober.mu.Lock()
	defer o.backend.prober.mu.Unlock()
	for _, w := range o.backend.prober.watches {
		w.cancel()
	}
}

// answer of an Apply.
type answer struct {
	backend.Observation
	err error
}

// Back-off of the controllers' queue, as far as it matters here.
const (
	firstAgain = 50 * time.Millisecond
	lastAgain  = 2 * time.Second
)

// reach applies set until good has no complaint. Every answer is shown to watch, if there is one.
func (o *operator) reach(set manifests.Set, watch func(answer), good func(backend.Observation) error) error {
	ctx, cancel := context.WithTimeoutCause(o.ctx, patience, errors.New("it took too long"))
	defer cancel()
	again, last := firstAgain, errors.New("nothing was applied yet")
	for due := time.After(0); ; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w; answers were errors: %v", context.Cause(ctx), last, o.errs)
		case <-o.calls.life.Done():
			o.killed++
			o.drop()
			o.start(fault{})
			due = time.After(0)
			continue
		case owner, open := <-o.changes:
			if !open || !owner.Is(set.Owner) {
				continue
			}
		case <-due:
		}
		due = nil
		a, dead := o.apply(ctx, set)
		if dead {
			continue
		}
		if watch != nil {
			watch(a)
		}
		if a.err != nil {
			o.errs = append(o.errs, a.err)
			last = a.err
			due, again = time.After(again), min(2*again, lastAgain)
			continue
		}
		again = firstAgain
		if last = good(a.Observation); last == nil {
			return nil
		}
		if isSettledAs(set, a.Observation) == nil { // it is good so far: what remains is not reported
			due = time.After(200 * time.Millisecond)
		}
	}
}

// apply once; dead tells that the process died over it.
func (o *operator) apply(ctx context.Context, set manifests.Set) (a answer, dead bool) {
	done := make(chan answer, 1)
	b := o.backend
	go func() {
		seen, err := b.Apply(ctx, set)
		done <- answer{seen, err}
	}()
	select {
	case a = <-done:
		return a, false
	case <-o.calls.life.Done():
		return a, true
	}
}

// isSettledAs complains until all that a set wants is as wanted, or, after a removal, gone.
func isSettledAs(set manifests.Set, seen backend.Observation) error {
	for _, s := range seen.Objects {
		fine := s.Phase == backend.Ready || s.Phase == backend.Succeeded
		if !fine || set.Remove && s.Reason != backend.ReasonRetained {
			return fmt.Errorf("%s is %s: %s %s", s.Ref, s.Phase, s.Reason, s.Message)
		}
	}
	if set.Remove {
		return nil
	}
	for _, object := range set.Objects {
		if _, there := seen.Find(manifests.RefOf(object)); !there {
			return fmt.Errorf("nothing is said of %s", manifests.RefOf(object))
		}
	}
	return nil
}

// settle applies set until it is as wanted in everyone's eyes, and stays so.
func (o *operator) settle(set manifests.Set) error {
	var before *state
	err := o.reach(set, nil, func(seen backend.Observation) error {
		if err := isSettledAs(set, seen); err != nil {
			before = nil
			return err
		}
		now, err := o.whole(set, o.beside)
		if err != nil {
			before = nil
			return err
		}
		if before == nil || !before.same(now) {
			before = now
			return errors.New("it is as wanted, but only just")
		}
		return nil
	})
	if err != nil {
		there, lookErr := o.podman.look(set.Owner.Namespace)
		err = errors.Join(fmt.Errorf("%w\nthere is: %s", err, there), lookErr)
	}
	return err
}

// mustSettle is settle for the parts of a test that are not its topic.
func (o *operator) mustSettle(t *testing.T, set manifests.Set) {
	t.Helper()
	if err := o.settle(set); err != nil {
		t.Fatalf("settling: %v", err)
	}
}

// remove everything of an owner, for the next one's sake.
func (o *operator) remove(t *testing.T, owner manifests.Owner) {
	t.Helper()
	o.mustSettle(t, manifests.Removal(owner))
}

// resolve asks the node agent for a name, as the pods on a network of the stack do.
func (r *rig) resolve(s *stack, name string) ([]string, error) {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.subnet+".1:53")
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return resolver.LookupHost(ctx, name+"."+s.owner.Namespace+".svc.cluster.local.")
}

// nodePID is the process of the node agent, which has noted it in its lock.
func (r *rig) nodePID() (int, error) {
	content, err := os.ReadFile(filepath.Join(r.dir, "lock"))
	if err != nil {
		return 0, err
	}
	pid := 0
	_, err = fmt.Sscan(string(content), &pid)
	return pid, err
}
