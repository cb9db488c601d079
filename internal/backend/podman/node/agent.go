package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// agent keeps true what the owners told.
type agent struct {
	log       *slog.Logger
	store     *store
	resolver  *resolver
	sockets   *sockets
	bridges   *bridges
	walls     walls
	own       netNS
	announcer *announcer
	logs      *podLogs
	forwards  *forwards

	mu     sync.Mutex
	owners map[string]told
	// loaded are the policies that this process put into pods' namespaces, by owner.
	loaded map[string]map[netNS]loaded
	// connections that are being spliced.
	connections int
	// idle since there was neither an owner nor a connection; zero while there is one.
	idle   time.Time
	ending bool
}

// errEnding is the answer of an agent that is about to end: ask the next one.
var errEnding = errors.New("the node agent is ending")

func newAgent(o Options) (*agent, error) {
	own, err := ownNetNS()
	if err != nil {
		return nil, err
	}
	files, err := openStore(o.Dir)
	if err != nil {
		return nil, err
	}
	a := &agent{
		log: o.Log, store: files, own: own, bridges: &bridges{log: o.Log}, announcer: newAnnouncer(), logs: newPodLogs(o.Log),
		forwards: &forwards{dir: o.Dir, log: o.Log, open: map[netip.AddrPort]net.Listener{}, failed: map[netip.AddrPort]bool{}},
		loaded:   map[string]map[netNS]loaded{}, idle: time.Now(),
	}
	a.resolver = &resolver{upstream: newUpstream(o.ResolvConf, a.isGateway)}
	a.sockets = &sockets{handler: a.resolver, log: o.Log, open: map[string]*socket{}}
	if a.owners, err = files.load(); err != nil {
		o.Log.Error("an owner has to tell anew", "error", err.Error())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.serveNames(); err != nil {
		o.Log.Error("names of the last run", "error", err.Error())
	}
	for _, t := range a.owners {
		a.logs.keep(t.State)
	}
	return a, nil
}

// put makes s true, and returns when it is. The order holds in every pod at every moment: no policy comes after a name,
// and no fixed address is borne twice.
func (a *agent) put(s State) (Answer, error) {
	if err := s.validate(); err != nil {
		return Answer{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ending {
		return Answer{}, errEnding
	}
	before := a.owners[s.Owner]
	t := told{State: s, Answer: a.makeTrue(before.State, s), Named: named(before.Named, s)}
	a.logFailures(s.Owner, before.Answer, t.Answer)
	a.owners[s.Owner] = t
	err := errors.Join(a.serveNames(), a.store.save(t))
	t.Answer.Logs = a.logs.keep(s) // names don't wait for files
	return t.Answer, err
}

// named adds the Services of s to those that were ever borne.
func named(before []string, s State) []string {
	all := slices.Clone(before)
	for _, p := range s.Pods {
		all = append(all, p.Services...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// remove withdraws an owner's names. What is in the namespaces of its pods ends with these.
func (a *agent) remove(owner string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ending {
		return errEnding
	}
	delete(a.owners, owner)
	delete(a.loaded, owner)
	a.logs.leave(owner)
	return errors.Join(a.serveNames(), a.store.remove(owner))
}

func (a *agent) get(owner string) (State, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.owners[owner]
	return t.State, ok
}

// serveNames serves what the owners told, without a gap for what stays. The mutex is held.
func (a *agent) serveNames() error {
	next := newRecords(a.owners)
	a.resolver.records.Store(next)
	a.touch()
	a.forwards.serve(a.owners)
	return errors.Join(a.bridges.serve(a.owners), a.walls.serve(a.owners), a.sockets.serve(next.gateways()))
}

// guard puts the walls up again that somebody tore down, until ctx ends.
func (a *agent) guard(ctx context.Context) {
	look := time.NewTicker(wallLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		a.mu.Lock()
		if err := a.walls.serve(a.owners); err != nil && !a.ending {
			a.log.Error("walls that are gone", "error", err.Error())
		}
		a.mu.Unlock()
	}
}

// isGateway tells whether names are served at an address.
func (a *agent) isGateway(address netip.Addr) bool {
	return slices.Contains(a.resolver.records.Load().gateways(), address)
}

// connect counts a connection from its begin until the function that it returns is called.
func (a *agent) connect() (done func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ending {
		return nil, errEnding
	}
	a.connections++
	a.touch()
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.connections--
		a.touch()
	}, nil
}

// touch notes whether there is anything to do. The mutex is held.
func (a *agent) touch() {
	switch {
	case len(a.owners) > 0 || a.connections > 0:
		a.idle = time.Time{}
	case a.idle.IsZero():
		a.idle = time.Now()
	}
}

// endIfIdle decides to end when there was nothing to do for long; from then on nothing is accepted. Without any owner there
// is nobody to read logs either.
func (a *agent) endIfIdle(long time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ending && !a.idle.IsZero() && time.Since(a.idle) >= long {
		a.ending = true
		a.logs.clear()
	}
	return a.ending
}

func (a *agent) isEnding() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ending
}

// end accepts nothing from here on, and stops serving names.
func (a *agent) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ending = true
	_ = a.sockets.serve(nil) // closing can't fail
	a.forwards.serve(nil)
}

// makeTrue brings the pods of s to what it says; before is what their owner told the last time. The mutex is held.
func (a *agent) makeTrue(before, s State) Answer {
	w := a.open(before, s)
	defer w.close()
	policies := a.loaded[s.Owner]
	w.each(func(m *member) error { return m.enforce(s, policies) })
	w.release(s, a.announcer)
	w.each(func(m *member) error { return m.assign(s, a.announcer) })
	a.loaded[s.Owner] = w.loaded()
	return Answer{Failures: w.failures()}
}

// logFailures that were not there the last time: an owner speaks again and again.
func (a *agent) logFailures(owner string, before, now Answer) {
	for _, pod := range slices.Sorted(maps.Keys(now.Failures)) {
		if failure := now.Failures[pod]; failure != before.Failures[pod] {
			a.log.Error("a pod is not as it should be", "owner", owner, "pod", pod, "error", failure)
		}
	}
}

// validate tells the first thing in s that can't be.
func (s State) validate() error {
	if s.Owner == "" || s.Namespace == "" {
		return &InvalidError{"owner and namespace are required"}
	}
	for _, n := range s.Networks {
		if !n.Subnet.IsValid() || !n.Subnet.Contains(n.Gateway) || !n.Gateway.Is4() {
			return &InvalidError{fmt.Sprintf("network %s: gateway %s is no IPv4 address of subnet %s", n.Name, n.Gateway, n.Subnet)}
		}
	}
	for _, service := range s.Services {
		if service.Name == "" || service.Port == 0 || service.Port == dnsPort {
			return &InvalidError{fmt.Sprintf("service %q of the node has port %d", service.Name, service.Port)}
		}
	}
	bearers := map[netip.Addr]string{}
	for _, p := range s.Pods {
		for _, address := range p.Fixed {
			if other, borne := bearers[address]; borne {
				return &InvalidError{fmt.Sprintf("pods %s and %s: both are to bear the fixed address %s", other, p.Name, address)}
			}
			bearers[address] = p.Name
		}
	}
	return nil
}

// InvalidError is the answer to a State that can't be made true by trying again.
type InvalidError struct{ Reason string }

func (e *InvalidError) Error() string { return "invalid state: " + e.Reason }
