package stacktest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The background programs, as `mockup up` calls them.
const (
	ControlPlane = "controlplane"
	Operator     = "operator"
)

// PID of a background program, from its pid file; an error if it does not run.
func (s *Stack) PID(program string) (int, error) {
	file := filepath.Join(s.state(), "run", program+".pid")
	content, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("finding the %s: %w", program, err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("finding the %s: %s holds %q", program, file, content)
	}
	state, err := procState(pid)
	if err != nil || state == "Z" {
		return 0, fmt.Errorf("the %s (process %d) does not run", program, pid)
	}
	return pid, nil
}

// Memory of a process in bytes.
type Memory struct {
	// RSS counts every resident page, PSS those shared with other processes by their share: proc(5).
	RSS, PSS int64
	// Peak is the largest RSS so far.
	Peak int64
}

// MemoryOf reads /proc/PID/smaps_rollup and status.
func MemoryOf(pid int) (Memory, error) {
	var m Memory
	fields := map[string]*int64{"Rss:": &m.RSS, "Pss:": &m.PSS, "VmHWM:": &m.Peak}
	for _, name := range []string{"smaps_rollup", "status"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			return m, fmt.Errorf("measuring memory: %w", err)
		}
		for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
			words := strings.Fields(lines.Text())
			if len(words) < 2 || fields[words[0]] == nil {
				continue
			}
			kib, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				return m, fmt.Errorf("measuring memory: %s of process %d is %q", words[0], pid, words[1])
			}
			*fields[words[0]] = kib << 10
		}
	}
	if m.RSS == 0 || m.PSS == 0 || m.Peak == 0 {
		return m, fmt.Errorf("measuring memory: the kernel says nothing of process %d", pid)
	}
	return m, nil
}

// clockTick is USER_HZ, which is 100 on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// CPUTime is what a process has used so far, in user and kernel mode, to 10 ms.
func CPUTime(pid int) (time.Duration, error) {
	fields, err := procStat(pid)
	if err != nil {
		return 0, err
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64) // utime, field 14 of proc(5)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("measuring processor time of %d: unexpected %q", pid, fields)
	}
	return time.Duration(user+system) * clockTick, nil
}

func procState(pid int) (string, error) {
	fields, err := procStat(pid)
	if err != nil {
		return "", err
	}
	return fields[0], nil
}

// procStat is /proc/PID/stat from its third field on: the second is the name and may hold anything.
func procStat(pid int) ([]string, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	_, rest, ok := strings.Cut(string(content[bytes.LastIndexByte(content, ')'):]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return nil, fmt.Errorf("looking at process %d: unexpected %q", pid, content)
	}
	return fields, nil
}
