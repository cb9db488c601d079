package systemd

import (
	"fmt"
	"net"
	"os"
)

// NotifyReady tells systemd that this process is ready, as sd_notify(3) does. It does nothing where nobody asked.
func NotifyReady() error {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", address) // one that begins with @ is abstract, for Go as well
	if err != nil {
		return fmt.Errorf("telling systemd that all is ready: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("READY=1")); err != nil {
		return fmt.Errorf("telling systemd that all is ready: %w", err)
	}
	return nil
}

// NodeCommand has systemd start the node agent by its unit; nil for an operator that no unit runs.
func NodeCommand() []string {
	unit := os.Getenv(NodeUnitEnv)
	if unit == "" {
		return nil
	}
	m := Manager{Scope: System}
	if os.Geteuid() != 0 {
		m.Scope = User
	}
	return m.SystemctlArgs("start", unit)
}
