package systemd

import (
	"fmt"
	"path/filepath"
	"strings"

	"mockup.dev/mockup/internal/processes"
)

// Names of the units, by the names of the processes.
const prefix = "mockup-"

// UnitOf is the name of the unit of a process.
func UnitOf(process string) string { return prefix + process + ".service" }

// Node is the process of the node agent.
const Node = "node"

// NodeUnitEnv tells the operator that the node agent has a unit, and which.
const NodeUnitEnv = "MOCKUP_NODE_UNIT"

// Service is a process that systemd keeps.
type Service struct {
	processes.Process
	// Mark is the variable by which it is recognised, NAME=VALUE (processes.Folder.Mark).
	Mark string
	Role Role
	// PIDFile is written for a foreign program; those of ours do so themselves.
	PIDFile string
	Log     string
}

// Role of a service in the platform.
type Role string

// The roles.
const (
	// Podman is Podman's own API service, where it comes without a unit for its socket.
	Podman       Role = "Podman's API service"
	ControlPlane Role = "control plane"
	Operator     Role = "operator"
)

// Platform is all that the units depend on.
type Platform struct {
	Scope Scope
	// StateDir is where the control plane and the operator write.
	StateDir string
	// Home and Path are the variables HOME and PATH of the units: systemd gives a service of root's no home, and does not
	// know where Podman was found.
	Home, Path string
	// NodeDir is the folder of the node agent, Program mockup's own file and PodmanPath that of Podman.
	NodeDir, Program, PodmanPath string
}

// Units of the services, and that of the node agent. It is pure.
func (p Platform) Units(services []Service) []Unit {
	var units []Unit
	for _, s := range services {
		units = append(units, p.Unit(s, services))
	}
	return append(units, p.node())
}

// Unit of one service among all.
func (p Platform) Unit(s Service, all []Service) Unit {
	u := Unit{
		Name: UnitOf(s.Name), Description: "mockup: " + string(s.Role), Type: "notify", Command: append([]string{s.Path}, s.Args...),
		Environment: append(p.environment(), s.Mark), Restart: "always",
		FinalCodes: "2", // called wrongly: another time it is just as wrong
		Grace:      s.Grace, Log: s.Log, WantedBy: "multi-user.target",
	}
	if p.Scope == User {
		u.WantedBy = "default.target"
	}
	switch s.Role {
	case ControlPlane:
		u.Settings = p.controlPlane()
	case Podman:
		u.Type = "exec" // it tells nobody when it is ready
		u.PostStart = "echo $MAINPID >" + shellQuote(s.PIDFile)
		u.Settings = []string{"KillMode=process", "Delegate=yes"} // containers outlive it, as under Podman's own unit
		u.Wants = p.online()
	case Operator:
		u.Environment = append(u.Environment, NodeUnitEnv+"="+UnitOf(Node))
		u.Wants = append(p.online(), p.beforeOperator(all)...)
		u.Settings = p.operator()
	}
	return u
}

func (p Platform) environment() []string { return []string{"HOME=" + p.Home, "PATH=" + p.Path} }

// online is the unit after which there is a network: pasta takes over the host's addresses when the first container
// starts. A user's systemd knows no targets of the machine, so that Podman brings a unit that waits for it.
func (p Platform) online() []string {
	if p.Scope == User {
		return []string{"podman-user-wait-network-online.service"}
	}
	return []string{"network-online.target"}
}

// beforeOperator are the other services; Podman's socket where no service of ours opens it. They are wanted and not
// required: the operator waits for them by itself, and must not end because one of them is restarted.
func (p Platform) beforeOperator(all []Service) []string {
	var names []string
	ours := false
	for _, s := range all {
		if s.Role != Operator {
			names = append(names, UnitOf(s.Name))
		}
		ours = ours || s.Role == Podman
	}
	if !ours {
		names = append([]string{"podman.socket"}, names...)
	}
	return names
}

// node is the agent that serves names. It has a unit of its own, so that it outlives the operator, and does not stand in
// that one's cgroup, where it would be ended with it. The operator starts it when there is something to serve, and it ends
// by itself when there is not: it is started again after a failure alone.
func (p Platform) node() Unit {
	u := Unit{
		Name: UnitOf(Node), Description: "mockup: node agent", Type: "exec",
		Command:     []string{p.Program, "node", "--dir", p.NodeDir},
		Environment: p.environment(), Restart: "on-failure",
		FinalCodes: "2 4", // 4: another one runs in the folder
		Grace:      defaultGrace, Settings: p.nodeSettings(),
	}
	if p.Scope == User {
		u.Wants = p.online()
		// Rootless, the bridges are in a network namespace of Podman's.
		u.Command = append(InRootlessNetwork(p.PodmanPath), u.Command...)
	}
	return u
}

// InRootlessNetwork is how a command line begins that is run in the network namespace where a rootless Podman has its
// bridges. With CONTAINER_HOST in its environment, podman would otherwise speak to a socket, and refuse.
func InRootlessNetwork(podman string) []string {
	return []string{podman, "--remote=false", "unshare", "--rootless-netns"}
}

// UnitDir is where an administrator's, or a user's own units go (systemd.unit(5)). configHome is $XDG_CONFIG_HOME or
// what stands for it.
func UnitDir(scope Scope, configHome string) string {
	if scope == User {
		return filepath.Join(configHome, "systemd", "user")
	}
	return "/etc/systemd/system"
}

func shellQuote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func readWrite(p string) string { return fmt.Sprintf("ReadWritePaths=%s", path(p)) }
