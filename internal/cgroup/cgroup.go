// Package cgroup reads what containers use from the kernel's own files. Asking Podman for it would have Podman enter every
// network namespace and add the page cache to the memory (libpod/stats_linux.go).
package cgroup

import (
	"bufio"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Usage of a container.
type Usage struct {
	// CPU time since it was made.
	CPU time.Duration
	// WorkingSet in bytes is what can't be given back easily: all but the file pages that nobody has used lately, as cAdvisor
	// has it (container/libcontainer/handler.go, setMemoryStats).
	WorkingSet int64
	// Limit of memory in bytes; 0 for none.
	Limit int64
}

// Reader finds the cgroups of processes.
type Reader struct {
	files fs.FS
	// unified is where version 2 is mounted with its controllers; empty if it is not.
	unified string
	// mounts of version 1 by their controller.
	mounts map[string]string
}

// New looks at the mounts of this process.
func New() (*Reader, error) { return newReader(os.DirFS("/")) }

func newReader(files fs.FS) (*Reader, error) {
	text, err := fs.ReadFile(files, "proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("looking for cgroups: %w", err)
	}
	r := &Reader{files: files, mounts: map[string]string{}}
	for line := range strings.Lines(string(text)) {
		mount, super, _ := strings.Cut(strings.TrimSpace(line), " - ")
		at, options := strings.Fields(mount), strings.Fields(super)
		if len(at) < 5 || len(options) < 3 {
			continue
		}
		folder := strings.TrimPrefix(at[4], "/")
		switch options[0] {
		case "cgroup":
			for _, controller := range strings.Split(options[2], ",") {
				r.mounts[controller] = folder
			}
		case "cgroup2":
			if r.has(folder, "memory") { // in the hybrid layout it has none
				r.unified = folder
			}
		}
	}
	return r, nil
}

// has tells whether a mount of version 2 has a controller.
func (r *Reader) has(folder, controller string) bool {
	text, err := fs.ReadFile(r.files, path.Join(folder, "cgroup.controllers"))
	return err == nil && slices.Contains(strings.Fields(string(text)), controller)
}

// Read the usage of the container that has that ID, one of whose processes is pid.
func (r *Reader) Read(pid int, id string) (Usage, error) {
	text, err := fs.ReadFile(r.files, fmt.Sprintf("proc/%d/cgroup", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("finding the cgroup of a container: %w", err)
	}
	groups := map[string]string{}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // ID:CONTROLLERS:PATH (cgroups(7))
		if len(parts) != 3 {
			continue
		}
		for _, controller := range strings.Split(parts[1], ",") {
			if group := own(parts[2], id); group != "" {
				groups[controller] = group
			}
		}
	}
	if len(groups) == 0 {
		return Usage{}, fmt.Errorf("container %.12s has no cgroup of its own: Podman has none to give", id)
	}
	if r.unified != "" {
		return r.version2(path.Join(r.unified, groups[""]))
	}
	return r.version1(path.Join(r.mounts["memory"], groups["memory"]), path.Join(r.mounts["cpuacct"], groups["cpuacct"]))
}

// own is the container's cgroup, whose name has its ID; its processes may be in one below. A container of a rootless Podman
// on version 1 has none, and is in that of whoever started it.
func own(group, id string) string {
	i := strings.Index(group, id)
	if i < 0 {
		return ""
	}
	if end := strings.Index(group[i:], "/"); end >= 0 {
		return group[:i+end]
	}
	return group
}

func (r *Reader) version2(folder string) (Usage, error) {
	f := &figures{files: r.files}
	u := Usage{
		CPU:        time.Duration(f.named(folder+"/cpu.stat", "usage_usec")) * time.Microsecond,
		WorkingSet: max(0, f.whole(folder+"/memory.current")-f.named(folder+"/memory.stat", "inactive_file")),
		Limit:      f.whole(folder + "/memory.max"),
	}
	return u, f.err
}

// unlimited is what version 1 has for no limit, rounded down to pages.
const unlimited = math.MaxInt64 / 4096 * 4096

func (r *Reader) version1(memory, cpu string) (Usage, error) {
	f := &figures{files: r.files}
	u := Usage{
		CPU:        time.Duration(f.whole(cpu + "/cpuacct.usage")),
		WorkingSet: max(0, f.whole(memory+"/memory.usage_in_bytes")-f.named(memory+"/memory.stat", "total_inactive_file")),
		Limit:      f.whole(memory + "/memory.limit_in_bytes"),
	}
	if u.Limit >= unlimited {
		u.Limit = 0
	}
	return u, f.err
}

// figures reads numbers, until the first that is not to be had.
type figures struct {
	files fs.FS
	err   error
}

// whole is a file that is a number; "max" is 0.
func (f *figures) whole(file string) int64 {
	text, err := fs.ReadFile(f.files, file)
	if err != nil {
		return f.fail(err)
	}
	return f.parse(strings.TrimSpace(string(text)))
}

// named is the number on the line of a file that begins with a name.
func (f *figures) named(file, name string) int64 {
	content, err := f.files.Open(file)
	if err != nil {
		return f.fail(err)
	}
	defer content.Close()
	lines := bufio.NewScanner(content)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return f.parse(text)
		}
	}
	return f.fail(fmt.Errorf("%s has no %s", file, name))
}

func (f *figures) parse(text string) int64 {
	if text == "max" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return f.fail(err)
	}
	return n
}

func (f *figures) fail(err error) int64 {
	if f.err == nil {
		f.err = fmt.Errorf("reading what a container uses: %w", err)
	}
	return 0
}
