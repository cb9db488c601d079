package host

import (
	"path"
	"strconv"
)

// Limits of a machine that many small processes meet before memory does.
type Limits struct {
	// InotifyInstances are how many a user may have; the control plane, the operator and many programs in containers need
	// one each.
	InotifyInstances int
	// PIDs are how many processes and threads there can be: the least of the kernel's and of the cgroups around this
	// process. 0 is unknown.
	PIDs int
}

func (f files) limits() Limits {
	l := Limits{
		InotifyInstances: f.number("proc/sys/fs/inotify/max_user_instances", 0),
		PIDs:             f.number("proc/sys/kernel/pid_max", 0),
	}
	for folder := f.own(); folder != "" && folder != "/" && folder != "."; folder = path.Dir(folder) {
		// A cgroup without a limit says "max", which is no number.
		if n, err := strconv.Atoi(f.text(cgroupRoot + folder + "/pids.max")); err == nil {
			l.PIDs = min(l.PIDs, n)
		}
	}
	return l
}
