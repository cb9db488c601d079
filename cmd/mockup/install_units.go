package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"mockup.dev/mockup/internal/backend/podman/node"
	"mockup.dev/mockup/internal/processes"
	"mockup.dev/mockup/internal/systemd"
)

// ownScope is that of the user who calls: the machine's for root.
func ownScope() systemd.Scope {
	if os.Geteuid() == 0 {
		return systemd.System
	}
	return systemd.User
}

func managerOf(scope systemd.Scope) (systemd.Manager, error) {
	configHome := ""
	if scope == systemd.User {
		var err error
		if configHome, err = os.UserConfigDir(); err != nil {
			return systemd.Manager{}, fmt.Errorf("finding the folder of your units: %w", err)
		}
	}
	return systemd.Manager{Scope: scope, Dir: systemd.UnitDir(scope, configHome)}, nil
}

// bySystemd has systemd keep the programs, where their units are installed for this state folder.
func (b *background) bySystemd() {
	m, err := managerOf(ownScope())
	if err != nil || !systemd.Running() || !m.Keeps(processOperator, b.PIDFile(processOperator)) {
		return
	}
	b.Supervisor = systemd.Supervisor{Manager: m, Unit: func(p processes.Process, mark string) (systemd.Unit, bool) {
		var services []systemd.Service
		for _, name := range []string{processPodman, processControlPlane, processOperator} {
			if m.Keeps(name, b.PIDFile(name)) {
				services = append(services, b.service(processes.Process{Name: name}, ""))
			}
		}
		s := b.service(p, mark)
		return b.platform(m.Scope).Unit(s, services), s.Role != ""
	}}
}

// service is a process as systemd keeps it.
func (b *background) service(p processes.Process, mark string) systemd.Service {
	roles := map[string]systemd.Role{
		processPodman: systemd.Podman, processControlPlane: systemd.ControlPlane, processOperator: systemd.Operator,
	}
	return systemd.Service{Process: p, Mark: mark, Role: roles[p.Name], PIDFile: b.PIDFile(p.Name), Log: b.LogFile(p.Name)}
}

// services are all of them; Podman's own is one where systemd knows no socket of Podman's.
func (b *background) services(podman string, ownPodman bool) ([]systemd.Service, error) {
	all := []processes.Process{b.controlPlaneProcess(), b.operatorProcess(podman)}
	if ownPodman {
		p, err := b.podmanProcess(podman)
		if err != nil {
			return nil, err
		}
		all = append([]processes.Process{p}, all...)
	}
	var services []systemd.Service
	for _, p := range all {
		mark, err := b.Mark(p)
		if err != nil {
			return nil, err
		}
		services = append(services, b.service(p, mark))
	}
	return services, nil
}

// systemPath is the PATH that systemd gives its services (systemd.exec(5)).
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (b *background) platform(scope systemd.Scope) systemd.Platform {
	p := systemd.Platform{
		Scope: scope, StateDir: string(b.state), Path: systemPath, NodeDir: node.DefaultDir(), Program: b.program, PodmanPath: "/usr/bin/podman",
	}
	if home, err := os.UserHomeDir(); err == nil {
		p.Home = home
	}
	if podman, err := exec.LookPath("podman"); err == nil {
		if podman, err = filepath.Abs(podman); err == nil {
			p.PodmanPath = podman
			if folder := filepath.Dir(podman); !slices.Contains(filepath.SplitList(systemPath), folder) {
				p.Path = folder + ":" + systemPath
			}
		}
	}
	return p
}
