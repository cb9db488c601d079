package controlplanetest

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Listening returns the sockets on which the process accepts connections: "tcp ADDRESS:PORT", "unix PATH". The path of
// an abstract unix socket, which everybody can reach, starts with "@".
func (p *Process) Listening() ([]string, error) {
	mine, err := p.inodes()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, table := range []struct {
		name   string
		decode func(fields []string) (inode, address string, ok bool)
	}{{"tcp", decodeTCP}, {"tcp6", decodeTCP}, {"unix", decodeUnix}} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", p.PID, table.name))
		if err != nil {
			return nil, fmt.Errorf("reading sockets: %w", err)
		}
		for line := range strings.Lines(string(content)) {
			inode, address, ok := table.decode(strings.Fields(line))
			if ok && mine[inode] {
				found = append(found, strings.TrimSuffix(table.name, "6")+" "+address)
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// inodes are those of the sockets that the process has open.
func (p *Process) inodes() (map[string]bool, error) {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.PID))
	if err != nil {
		return nil, fmt.Errorf("listing open files: %w", err)
	}
	inodes := map[string]bool{}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue // closed in the meantime
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return inodes, nil
}

// decodeTCP reads a line of /proc/net/tcp or tcp6, see proc(5); only state 0A listens.
func decodeTCP(fields []string) (inode, address string, ok bool) {
	if len(fields) < 10 || fields[3] != "0A" {
		return "", "", false
	}
	host, port, _ := strings.Cut(fields[1], ":")
	raw, err := hex.DecodeString(host)
	if err != nil {
		return "", "", false
	}
	for word := range slices.Chunk(raw, 4) { // each in the byte order of the machine
		slices.Reverse(word)
	}
	number, err := strconv.ParseUint(port, 16, 16)
	return fields[9], net.JoinHostPort(net.IP(raw).String(), strconv.FormatUint(number, 10)), err == nil
}

// decodeUnix reads a line of /proc/net/unix, see proc(5); flag 10000 listens.
func decodeUnix(fields []string) (inode, address string, ok bool) {
	if len(fields) < 7 || fields[3] != "00010000" {
		return "", "", false
	}
	if len(fields) == 7 {
		return fields[6], "(unnamed)", true
	}
	return fields[6], fields[7], true
}
