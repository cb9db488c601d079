package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// PortSocket is where the program listens that a port of the node leads to.
func PortSocket(dir string, port uint16) string {
	return filepath.Join(dir, "port-"+strconv.Itoa(int(port))+".sock")
}

// ListenPort has the calling program be the one that a port of the node leads to, in place of any before it. The agent
// need not run.
func ListenPort(dir string, port uint16) (net.Listener, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	l, err := listenUnix(PortSocket(dir, port))
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it may be another's by then
	return l, nil
}

// forwards are the ports of the node that lead to programs on it. A unix socket is in between, for the program of a rootless
// Podman is in another network namespace. Nobody at the socket is nobody at the port.
type forwards struct {
	dir string
	log *slog.Logger

	mu   sync.Mutex
	open map[netip.AddrPort]net.Listener
	// failed ones were told of; each call of serve tries again.
	failed map[netip.AddrPort]bool
}

// serve opens what is new among the owners' ports, and closes what is gone. What can't be opened keeps nobody from anything
// else.
func (f *forwards) serve(owners map[string]told) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted := map[netip.AddrPort]bool{}
	for _, t := range owners {
		for _, s := range t.State.Services {
			for _, n := range t.State.Networks {
				wanted[netip.AddrPortFrom(n.Gateway, s.Port)] = true
			}
		}
	}
	for address := range wanted {
		if f.open[address] == nil {
			f.begin(address)
		}
	}
	for address, listener := range f.open {
		if !wanted[address] {
			_ = listener.Close()
			delete(f.open, address)
		}
	}
}

func (f *forwards) begin(address netip.AddrPort) {
	listener, err := listenConfig().Listen(context.Background(), "tcp4", address.String())
	if err != nil {
		if !f.failed[address] {
			f.log.Error("opening a port of the node", "address", address.String(), "error", err.Error())
		}
		f.failed[address] = true
		return
	}
	delete(f.failed, address)
	f.open[address] = listener
	go f.accept(listener, PortSocket(f.dir, address.Port()))
}

func (f *forwards) accept(listener net.Listener, socket string) {
	for {
		conn, err := listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // too many files are open, which passes
			time.Sleep(reopenAfter)
			continue
		}
		go forward(conn.(*net.TCPConn), socket)
	}
}

// forward a connection to a socket.
func forward(here *net.TCPConn, socket string) {
	defer here.Close()
	there, err := (&net.Dialer{Timeout: dialTimeout}).Dial("unix", socket)
	if err != nil {
		_ = here.SetLinger(0) // a reset is the nearest there is to a refusal
		return
	}
	defer there.Close()
	splice(there.(*net.UnixConn), here, here)
}
