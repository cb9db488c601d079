package podman

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// waitsInQueue tells whether this host has the end called local of a connection, and no program has taken it yet: the
// kernel lists it then, but as no file of anybody (proc(5), /proc/net/tcp, whose inode is 0).
func waitsInQueue(local, remote netip.AddrPort) (bool, error) {
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(name)
		if err != nil {
			if os.IsNotExist(err) { // a kernel without IPv6
				continue
			}
			return false, fmt.Errorf("listing sockets: %w", err)
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if s, ok := parseSocket(lines.Text()); ok && s.local == local && s.remote == remote {
				_ = file.Close()
				return s.inode == "0", nil
			}
		}
		err = lines.Err()
		_ = file.Close()
		if err != nil {
			return false, fmt.Errorf("listing sockets: %w", err)
		}
	}
	return false, nil
}

// socket is a line of /proc/net/tcp.
type socket struct {
	local, remote netip.AddrPort
	inode         string
}

// parseSocket reads a line; that of the headings is none.
func parseSocket(line string) (s socket, ok bool) {
	const local, remote, inode = 1, 2, 9
	fields := strings.Fields(line)
	if len(fields) <= inode {
		return socket{}, false
	}
	s.inode = fields[inode]
	var okLocal, okRemote bool
	s.local, okLocal = parseEnd(fields[local])
	s.remote, okRemote = parseEnd(fields[remote])
	return s, okLocal && okRemote
}

// parseEnd reads ADDRESS:PORT in hexadecimal digits, the address in words of the machine's byte order.
func parseEnd(text string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(address)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(words)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	ip, ok := netip.AddrFromSlice(words)
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), ok
}
