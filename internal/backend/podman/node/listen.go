package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

const (
	dnsPort = 53
	// receiveBuffer of a socket in bytes: some thousand queries may come at once.
	receiveBuffer = 4 << 20
	// reopenAfter is the pause before a socket that failed is opened again.
	reopenAfter = 100 * time.Millisecond
)

// sockets are where names are served: two for each gateway. One that stays wanted is never closed.
type sockets struct {
	handler dns.Handler
	log     *slog.Logger

	mu   sync.Mutex
	open map[string]*socket
}

// serve opens what is new among the addresses, and closes what is gone. The error tells what is not open; it is tried
// again by itself.
func (s *sockets) serve(gateways []netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := map[string]bool{}
	var problems []error
	for _, gateway := range gateways {
		for _, transport := range []string{"udp", "tcp"} {
			key := transport + " " + gateway.String()
			wanted[key] = true
			if s.open[key] == nil {
				s.open[key] = newSocket(transport, netip.AddrPortFrom(gateway, dnsPort), s.handler, s.log)
			}
			problems = append(problems, s.open[key].problem())
		}
	}
	for key, socket := range s.open {
		if !wanted[key] {
			socket.stop()
			delete(s.open, key)
		}
	}
	return errors.Join(problems...)
}

// socket serves names at one address by one transport until it is stopped.
type socket struct {
	transport string
	address   netip.AddrPort
	handler   dns.Handler
	log       *slog.Logger

	mu      sync.Mutex
	server  *dns.Server
	err     error
	stopped bool
}

// newSocket returns when it is open, or has failed to open once.
func newSocket(transport string, address netip.AddrPort, handler dns.Handler, log *slog.Logger) *socket {
	s := &socket{transport: transport, address: address, handler: handler, log: log}
	s.reopen()
	go s.run()
	return s
}

func (s *socket) run() {
	for {
		s.mu.Lock()
		server, stopped := s.server, s.stopped
		s.mu.Unlock()
		if stopped {
			return
		}
		if server != nil {
			if err := server.ActivateAndServe(); err != nil && !errors.Is(err, net.ErrClosed) {
				s.log.Error("serving names", "address", s.address.String(), "transport", s.transport, "error", err.Error())
			}
		}
		time.Sleep(reopenAfter)
		s.reopen()
	}
}

// reopen opens the socket unless it was stopped.
func (s *socket) reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	server, err := listen(s.transport, s.address, s.handler)
	if err != nil {
		err = fmt.Errorf("serving names at %s/%s: %w", s.address, s.transport, err)
		if s.err == nil {
			s.log.Error("opening a socket", "error", err.Error())
		}
	}
	s.server, s.err = server, err
}

func (s *socket) problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *socket) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	switch {
	case s.server == nil:
	case s.server.PacketConn != nil:
		_ = s.server.PacketConn.Close()
	default:
		_ = s.server.Listener.Close()
	}
}

// listenConfig is for addresses that need not be there yet: a bridge is there only as long as it has containers.
func listenConfig() *net.ListenConfig {
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if controlErr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
			// Needs a privilege that a rootless agent has not; the default buffer does as well, up to a point.
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
		}); controlErr != nil {
			return controlErr
		}
		return err
	}}
}

func listen(transport string, address netip.AddrPort, handler dns.Handler) (*dns.Server, error) {
	config := listenConfig()
	server := &dns.Server{Handler: handler, UDPSize: dns.DefaultMsgSize}
	var err error
	if transport == "udp" {
		server.PacketConn, err = config.ListenPacket(context.Background(), "udp4", address.String())
	} else {
		server.Listener, err = config.Listen(context.Background(), "tcp4", address.String())
	}
	if err != nil {
		return nil, err
	}
	return server, nil
}
