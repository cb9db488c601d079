package host

import (
	"fmt"
	"strings"
)

// Topic of what a host can or can't do.
type Topic string

// The topics.
const (
	TopicMemoryLimits    Topic = "limits of memory"
	TopicCPULimits       Topic = "limits of CPU"
	TopicPIDLimits       Topic = "limits of processes"
	TopicCgroups         Topic = "cgroups"
	TopicNetworkPolicies Topic = "network policies"
	TopicNames           Topic = "names behind a firewall"
	TopicSubordinateIDs  Topic = "subordinate ids"
	TopicUserNamespaces  Topic = "user namespaces"
	TopicRootlessNetwork Topic = "rootless networks"
	TopicPorts           Topic = "ports below 1024"
	TopicBoot            Topic = "start at boot"
	TopicInotify         Topic = "inotify instances"
	TopicProcesses       Topic = "number of processes"
	TopicStopSignal      Topic = "stop signals"
)

// Lack is something that a host can't do.
type Lack struct {
	Topic Topic `json:"topic"`
	// Because is what was found, Consequence what follows for containers, Mend what helps. Each is one phrase.
	Because     string `json:"because"`
	Consequence string `json:"consequence"`
	Mend        string `json:"mend,omitempty"`
	// Fatal lacks keep every container from running.
	Fatal bool `json:"fatal,omitempty"`
}

// String is what a refusal says: what follows, and why.
func (l Lack) String() string { return l.Consequence + ": " + l.Because }

// Lacks lists what the host can't do, in a fixed order. It is pure.
func (h Host) Lacks() []Lack {
	var all []Lack
	all = append(all, h.Cgroups.lacks(h.Who)...)
	if h.Who.Rootless() {
		all = append(all, h.Rootless.lacks(h.Who)...)
		all = append(all, h.ports()...)
	}
	if h.NFTables == No {
		all = append(all, Lack{Topic: TopicNetworkPolicies, Because: "the kernel has no nftables",
			Consequence: "NetworkPolicies are not enforced, and pods that have one bear no names",
			Mend:        "boot a kernel with CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET"})
	}
	all = append(all, h.boot()...)
	return append(all, h.Limits.lacks()...)
}

// Lack of a topic, if there is one.
func (h Host) Lack(topic Topic) (Lack, bool) {
	for _, l := range h.Lacks() {
		if l.Topic == topic {
			return l, true
		}
	}
	return Lack{}, false
}

func (c Cgroups) lacks(who Who) []Lack {
	if c.Version == CgroupNone {
		return []Lack{{Topic: TopicCgroups, Because: "no cgroups are mounted at /" + cgroupRoot, Fatal: true,
			Consequence: "no container can be started", Mend: "mount -t cgroup2 cgroup2 /" + cgroupRoot}}
	}
	because, mend := c.missing(who)
	var all []Lack
	for _, limit := range []struct {
		topic      Topic
		controller string
		follows    string
	}{
		{TopicMemoryLimits, ControllerMemory, "a container may use more memory than its limit, and the kernel may end another one for it"},
		{TopicCPULimits, ControllerCPU, "a container may use more CPU than its limit"},
		{TopicPIDLimits, ControllerPIDs, "a container may start any number of processes"},
	} {
		if !c.Limits(limit.controller) {
			all = append(all, Lack{Topic: limit.topic, Because: fmt.Sprintf(because, limit.controller), Consequence: limit.follows, Mend: mend})
		}
	}
	return all
}

// missing explains why a controller is; because has a place for its name.
func (c Cgroups) missing(who Who) (because, mend string) {
	switch {
	case !who.Rootless():
		return "the kernel has no cgroup controller %[1]s, or it is switched off",
			"remove cgroup_disable= from the kernel's command line; some boards need cgroup_enable=memory there"
	case c.Version != CgroupV2:
		return "cgroup " + string(c.Version) + " gives users no controllers, %[1]s among them", "boot with systemd.unified_cgroup_hierarchy=1"
	}
	return "the cgroup controller %[1]s is not delegated to " + who.Name,
		"put \"[Service]\" and \"Delegate=cpu cpuset io memory pids\" into /etc/systemd/system/user@.service.d/delegate.conf, then systemctl daemon-reload and log in again"
}

func (r Rootless) lacks(who Who) []Lack {
	var all []Lack
	add := func(topic Topic, fatal bool, because, consequence, mend string) {
		all = append(all, Lack{Topic: topic, Because: because, Consequence: consequence, Mend: mend, Fatal: fatal})
	}
	if !r.UserNamespaces {
		add(TopicUserNamespaces, true, r.Forbidden+" forbids them", "a rootless Podman can't start",
			"sudo sysctl "+sysctlOf(r.Forbidden)+", and the same line in /etc/sysctl.d")
	}
	const addRanges = "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s && podman system migrate"
	switch least := min(r.SubUIDs, r.SubGIDs); {
	case least == 0:
		add(TopicSubordinateIDs, true, who.Name+" has no ranges in /etc/subuid and /etc/subgid",
			"an image whose files belong to more than one user can't be unpacked", fmt.Sprintf(addRanges, who.Name))
	case least < enoughIDs:
		add(TopicSubordinateIDs, false, fmt.Sprintf("%s has %d in /etc/subuid and /etc/subgid", who.Name, least),
			fmt.Sprintf("an image with ids from %d on can't be run", least), fmt.Sprintf(addRanges, who.Name))
	case !r.IDMapTools:
		add(TopicSubordinateIDs, true, "newuidmap and newgidmap are not there", "the ranges in /etc/subuid can't be used", "install uidmap (shadow-utils)")
	}
	switch {
	case r.NetworkTool == "":
		add(TopicRootlessNetwork, true, "neither pasta nor slirp4netns is there", "no container gets a network", "install passt")
	case !r.Tun:
		add(TopicRootlessNetwork, true, "/dev/net/tun can't be opened", "no container gets a network", "sudo modprobe tun && sudo chmod 666 /dev/net/tun")
	}
	return all
}

// sysctlOf turns the file that forbids something into the setting that allows it.
func sysctlOf(file string) string {
	value := "1"
	switch {
	case strings.HasSuffix(file, "/max_user_namespaces"):
		value = "15000"
	case strings.HasSuffix(file, "/apparmor_restrict_unprivileged_userns"):
		value = "0"
	}
	return strings.ReplaceAll(strings.TrimPrefix(file, "/proc/sys/"), "/", ".") + "=" + value
}

func (h Host) ports() []Lack {
	const web = 80 // the least port that a stack asks for, as a rule
	if h.UnprivilegedPortStart <= web {
		return nil
	}
	return []Lack{{Topic: TopicPorts, Because: fmt.Sprintf("ports below %d are for root", h.UnprivilegedPortStart),
		Consequence: "a hostPort of 80 or 443 can't be opened",
		Mend:        "choose hostPorts from 1024 on, or sudo sysctl net.ipv4.ip_unprivileged_port_start=80, and the same line in /etc/sysctl.d"}}
}

func (h Host) boot() []Lack {
	switch {
	case !h.Systemd:
		return []Lack{{Topic: TopicBoot, Because: fmt.Sprintf("this machine does not run systemd (process 1 is %s)", h.Init),
			Consequence: "nothing comes back after a reboot by itself", Mend: "run \"mockup up\" after a reboot"}}
	case h.Who.Rootless() && !h.Lingers:
		return []Lack{{Topic: TopicBoot, Because: "lingering is off for " + h.Who.Name,
			Consequence: "containers start with the first login, and end with the last logout", Mend: "sudo loginctl enable-linger " + h.Who.Name}}
	}
	return nil
}

func (l Limits) lacks() []Lack {
	const (
		instances = 128  // the kernel's own default
		processes = 4096 // a stack of a dozen services in Go has some hundreds of threads; builds and desktops have more
	)
	var all []Lack
	if l.InotifyInstances > 0 && l.InotifyInstances < instances {
		all = append(all, Lack{Topic: TopicInotify, Because: fmt.Sprintf("a user may have %d", l.InotifyInstances),
			Consequence: "programs that watch files fail with \"too many open files\"", Mend: "sudo sysctl fs.inotify.max_user_instances=512"})
	}
	if l.PIDs > 0 && l.PIDs < processes {
		all = append(all, Lack{Topic: TopicProcesses, Because: fmt.Sprintf("there can be %d processes and threads", l.PIDs),
			Consequence: "containers fail to start threads when it is reached",
			Mend:        "raise TasksMax= of the cgroup, or sudo sysctl kernel.pid_max=32768"})
	}
	return all
}
