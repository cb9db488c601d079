package host

import (
	"fmt"
	"slices"
	"strings"
)

// CgroupVersion of a machine.
type CgroupVersion string

// The versions. A hybrid machine has version 2 beside version 1, without any controller there: limits are those of
// version 1.
const (
	CgroupV1     CgroupVersion = "v1"
	CgroupHybrid CgroupVersion = "hybrid"
	CgroupV2     CgroupVersion = "v2"
	CgroupNone   CgroupVersion = "none"
)

// Controllers whose limits a manifest can ask for.
const (
	ControllerCPU    = "cpu"
	ControllerMemory = "memory"
	ControllerPIDs   = "pids"
)

// Cgroups are what limits containers.
type Cgroups struct {
	Version CgroupVersion
	// Controllers that the user's containers can be limited by, sorted. On version 1 a rootless Podman has none: the
	// hierarchies belong to root. On version 2 it has those that systemd delegates to the user.
	Controllers []string
}

// Limits tells whether containers can be limited by a controller.
func (c Cgroups) Limits(controller string) bool { return slices.Contains(c.Controllers, controller) }

const cgroupRoot = "sys/fs/cgroup"

// cgroups tells versions apart as systemd does (its documentation, CGROUP_DELEGATION): cgroup.controllers is a file of
// version 2 alone; in the hybrid layout version 2 is mounted at "unified".
func (f files) cgroups(who Who) Cgroups {
	switch {
	case f.exists(cgroupRoot + "/cgroup.controllers"):
		return Cgroups{CgroupV2, f.controllersV2(who)}
	case f.exists(cgroupRoot + "/unified/cgroup.controllers"):
		return Cgroups{CgroupHybrid, f.controllersV1(who)}
	case len(f.controllersV1(Who{})) > 0:
		return Cgroups{CgroupV1, f.controllersV1(who)}
	}
	return Cgroups{Version: CgroupNone}
}

func (f files) controllersV1(who Who) []string {
	var found []string
	if who.Rootless() {
		return nil
	}
	for _, name := range []string{ControllerCPU, "cpuset", "io", ControllerMemory, ControllerPIDs} {
		folder := name
		if name == "io" {
			folder = "blkio" // its name in version 1
		}
		if f.isDir(cgroupRoot + "/" + folder) {
			found = append(found, name)
		}
	}
	return found
}

// controllersV2 are those of the root, and for a user those of the cgroup in which the user's own Podman runs.
func (f files) controllersV2(who Who) []string {
	folder := cgroupRoot
	if who.Rootless() {
		folder = f.delegated(who)
	}
	found := strings.Fields(f.text(folder + "/cgroup.controllers"))
	slices.Sort(found)
	return found
}

// delegated is the cgroup that is the user's: that of systemd's user manager, or the one this process is in.
func (f files) delegated(who Who) string {
	manager := fmt.Sprintf("%s/user.slice/user-%d.slice/user@%d.service", cgroupRoot, who.UID, who.UID)
	if f.isDir(manager) {
		return manager
	}
	return strings.TrimSuffix(cgroupRoot+f.own(), "/")
}

// own is the path of this process's cgroup of version 2, from "0::PATH" (cgroups(7)).
func (f files) own() string {
	for line := range strings.Lines(f.text("proc/self/cgroup")) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path
		}
	}
	return ""
}
