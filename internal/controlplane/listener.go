package controlplane

import (
	"fmt"
	"net"
	"strconv"
)

const (
	// bindAddress keeps the API server on this machine.
	bindAddress = "127.0.0.1"
	// firstPort and lastPort bound the search for a free port: below the range from which the kernel takes the ports of
	// outgoing connections (32768 and up), so that a remembered port is still free after a restart.
	firstPort, lastPort = 26443, 26542
)

// listen opens the API server's port: the one asked for, else the remembered one, else a free one. A remembered port
// that somebody else took in the meantime is given up, since the kubeconfig is rewritten with the new one.
func listen(wanted, remembered int) (net.Listener, error) {
	if wanted != 0 {
		l, err := listenOn(wanted)
		if err != nil {
			return nil, fmt.Errorf("opening the API server's port: %w", err)
		}
		return l, nil
	}
	if remembered != 0 {
		if l, err := listenOn(remembered); err == nil {
			return l, nil
		}
	}
	for port := firstPort; port <= lastPort; port++ {
		if l, err := listenOn(port); err == nil {
			return l, nil
		}
	}
	l, err := listenOn(0)
	if err != nil {
		return nil, fmt.Errorf("finding a free port for the API server: %w", err)
	}
	return l, nil
}

func listenOn(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(bindAddress, strconv.Itoa(port)))
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
