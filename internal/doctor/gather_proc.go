package doctor

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// socket is a line of /proc/net/tcp or tcp6.
type socket struct {
	address netip.Addr
	port    uint16
	inode   string
}

// listeners are the processes that listen on one of the ports.
func listeners(ports []Port) []Listener {
	wanted := map[uint16]bool{}
	for _, p := range ports {
		wanted[p.Number] = true
	}
	var sockets []socket
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // no IPv6
		}
		for _, s := range parseSockets(string(content)) {
			if wanted[s.port] {
				sockets = append(sockets, s)
			}
		}
	}
	if len(sockets) == 0 {
		return nil
	}
	holders := holdersOf(sockets)
	var found []Listener
	for _, s := range sockets {
		pid := holders[s.inode]
		found = append(found, Listener{Address: s.address, Port: s.port, PID: pid, Command: commandOf(pid)})
	}
	return found
}

// parseSockets reads the listening sockets from the format of proc(5): addresses are hexadecimal words in the order of
// this machine's bytes.
func parseSockets(content string) []socket {
	const listening = "0A"
	var found []socket
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[3] != listening {
			continue
		}
		text, port, _ := strings.Cut(fields[1], ":")
		number, err := strconv.ParseUint(port, 16, 16)
		if err != nil {
			continue
		}
		raw, err := hex.DecodeString(text)
		if err != nil {
			continue
		}
		for i := 0; i+4 <= len(raw); i += 4 {
			binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
		}
		address, ok := netip.AddrFromSlice(raw)
		if !ok {
			continue
		}
		found = append(found, socket{address.Unmap(), uint16(number), fields[9]})
	}
	return found
}

// holdersOf finds the process of each socket by its inode. Those of other users stay unknown, unless root asks.
func holdersOf(sockets []socket) map[string]int {
	wanted := map[string]string{}
	for _, s := range sockets {
		wanted["socket:["+s.inode+"]"] = s.inode
	}
	found := map[string]int{}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return found
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || wanted[target] == "" {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil && found[wanted[target]] == 0 {
			found[wanted[target]] = pid
		}
	}
	return found
}

func commandOf(pid int) string {
	if pid == 0 {
		return ""
	}
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// routes of this host: what its interfaces are in, and what /proc/net/route adds (IPv4).
func routes() []Route {
	var found []Route
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Is4() {
				found = append(found, Route{prefix.Masked(), i.Name})
			}
		}
	}
	content, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return found
	}
	return append(found, parseRoutes(string(content))...)
}

// parseRoutes reads the format of /proc/net/route: interface, destination and, as the eighth field, mask.
func parseRoutes(content string) []Route {
	var found []Route
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) < 8 || fields[0] == "Iface" {
			continue
		}
		destination, err1 := hex.DecodeString(fields[1])
		mask, err2 := hex.DecodeString(fields[7])
		if err1 != nil || err2 != nil || len(destination) != 4 || len(mask) != 4 {
			continue
		}
		for _, word := range [][]byte{destination, mask} {
			binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
		}
		ones, _ := net.IPMask(mask).Size()
		address, _ := netip.AddrFromSlice(destination)
		found = append(found, Route{netip.PrefixFrom(address, ones), fields[0]})
	}
	return found
}
