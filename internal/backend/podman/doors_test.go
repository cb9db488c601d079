package podman

import (
	"net"
	"testing"
)

// TestHeldPortIsNoOpenDoor is what Podman does with every host port: a socket listens there and takes nothing. Found when
// somebody flushed the firewall: connections came about, nobody answered, and the port passed for open.
func TestHeldPortIsNoOpenDoor(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp"} {
		l, err := net.Listen(network, ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		for _, host := range []string{"", "127.0.0.1"} {
			if answers(t.Context(), []string{net.JoinHostPort(host, port)}) {
				t.Errorf("%s: port %s of %q passes for open, where nobody takes connections", network, port, host)
			}
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
			}
		}()
		if !answers(t.Context(), []string{net.JoinHostPort("127.0.0.1", port)}) {
			t.Errorf("%s: port %s passes for shut, where somebody takes connections", network, port)
		}
	}
}
