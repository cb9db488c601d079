package podman

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/manifests"
)

// Podman has the kernel lead host ports to their pods, and never looks again: who flushes the host's firewall shuts them.
const (
	// doorPause is the pause between two tries of a host port, doorTimeout the patience with one, and doorTries how many
	// must fail in a row.
	doorPause   = 5 * time.Second
	doorTimeout = time.Second
	doorTries   = 2
	// doorRest is how long a pod whose ports were opened anew is left alone: what shuts them may be there to stay.
	doorRest = 10 * time.Minute
)

// doors tries the host ports of running pods.
type doors struct {
	changed func(manifests.Owner)

	mu  sync.Mutex
	all map[string]*door
}

// door is the host ports of one pod.
type door struct {
	owner  manifests.Owner
	cancel context.CancelFunc
	// ready pods answer at their own ports: only theirs can be shut.
	ready  bool
	failed int
	shut   bool
	opened time.Time
}

func newDoors(changed func(manifests.Owner)) *doors {
	return &doors{changed: changed, all: map[string]*door{}}
}

// hostPortsOf are the addresses of the host ports of a template, as a label has them.
func hostPortsOf(spec *corev1.PodSpec) string {
	var out []string
	for _, c := range spec.Containers {
		for _, p := range c.Ports {
			if p.HostPort != 0 && (p.Protocol == corev1.ProtocolTCP || p.Protocol == "") {
				out = append(out, net.JoinHostPort(p.HostIP, strconv.Itoa(int(p.HostPort))))
			}
		}
	}
	return strings.Join(out, ",")
}

// portsIn are the ports that hostPortsOf wrote down.
func portsIn(label string) []uint16 {
	var out []uint16
	for _, address := range strings.Split(label, ",") {
		if a := address[strings.LastIndexByte(address, ':')+1:]; a != "" {
			if port, err := strconv.ParseUint(a, 10, 16); err == nil {
				out = append(out, uint16(port))
			}
		}
	}
	return out
}

// attend tries the host ports of an owner's pods, and no others of that owner.
func (d *doors) attend(owner manifests.Owner, pods []podInfo, ready map[string]readiness) {
	d.mu.Lock()
	defer d.mu.Unlock()
	there := map[string]bool{}
	for _, p := range pods {
		ports := p.labels[labelHostPorts]
		if ports == "" {
			continue
		}
		there[p.id] = true
		if d.all[p.id] == nil {
			ctx, cancel := context.WithCancel(context.Background())
			d.all[p.id] = &door{owner: owner, cancel: cancel}
			go d.watch(ctx, p.id, strings.Split(ports, ","))
		}
		d.all[p.id].is(ready[p.id].ok)
	}
	for id, door := range d.all {
		if door.owner.Is(owner) && !there[id] {
			door.cancel()
			delete(d.all, id)
		}
	}
}

// is forgets the tries of a pod that is not ready: it can't have answered, whatever its ports lead to.
func (d *door) is(ready bool) {
	d.ready = ready
	if !ready {
		d.failed, d.shut = 0, false
	}
}

func (d *doors) watch(ctx context.Context, pod string, ports []string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(together(time.Now(), doorPause)):
		}
		d.note(pod, answers(ctx, ports))
	}
}

// answers tells whether every port does. An unspecified address is that of this host.
func answers(ctx context.Context, ports []string) bool {
	dialer := net.Dialer{Timeout: doorTimeout}
	for _, address := range ports {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return false
		}
		ok := accepted(ctx, conn)
		_ = conn.Close()
		if !ok {
			return false
		}
	}
	return true
}

// accepted tells whether somebody took the connection. Podman holds every host port by a socket that listens and takes
// nothing (libpod/oci_util.go, bindPorts): where the kernel leads the port nowhere, that one is reached, and connections
// wait in its queue for ever. One that leads to a pod, or to a rootless Podman's program, does not end there.
func accepted(ctx context.Context, conn net.Conn) bool {
	local, remote := addressOf(conn.LocalAddr()), addressOf(conn.RemoteAddr())
	for end := time.Now().Add(doorTimeout); ; {
		waits, err := waitsInQueue(remote, local)
		if err != nil || !waits { // what can't be known is no reason to do anything
			return true
		}
		select {
		case <-ctx.Done():
			return true
		case <-time.After(doorTimeout / 10):
		}
		if time.Now().After(end) {
			return false
		}
	}
}

func addressOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// note that the ports of a pod answered, or did not.
func (d *doors) note(pod string, answered bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	door := d.all[pod]
	if door == nil || !door.ready {
		return
	}
	door.failed++
	if answered {
		door.failed = 0
	}
	if shut := door.failed >= doorTries; door.shut != shut {
		door.shut = shut
		d.changed(door.owner)
	}
}

// shut tells whether the pod's host ports lead nowhere, and have not just been opened anew.
func (d *doors) shut(pod string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	door := d.all[pod]
	return door != nil && door.shut && now.Sub(door.opened) > doorRest
}

func (d *doors) opened(pod string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if door := d.all[pod]; door != nil {
		door.opened = time.Now()
	}
}
