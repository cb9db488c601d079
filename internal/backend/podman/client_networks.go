package podman

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/bindings/network"
	nettypes "go.podman.io/common/libnetwork/types"
)

func (c *client) network(ctx context.Context, infraID string) (podNetwork, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return podNetwork{}, err
	}
	data, err := containers.Inspect(ctx, infraID, nil)
	if err != nil {
		return podNetwork{}, fmt.Errorf("inspecting infra container %.12s: %w", infraID, err)
	}
	found := podNetwork{netns: namespaceOf(data.NetworkSettings.SandboxKey, data.State.Pid), byNet: map[string]endpoint{}}
	for name, n := range data.NetworkSettings.Networks {
		if addr, err := netip.ParseAddr(n.IPAddress); err == nil {
			_, noGateway := netip.ParseAddr(n.Gateway)
			found.byNet[name] = endpoint{addr: addr, mac: n.MacAddress, routed: noGateway == nil}
		}
	}
	return found, nil
}

// namespaceOf is the path of a pod's network namespace, whose first process is pid. A rootless Podman mounts the file in a
// mount namespace of its own; a node agent that was there before the first pod sees an empty file. The process is seen by
// all.
func namespaceOf(file string, pid int) string {
	if file == "" || pid == 0 || strings.HasPrefix(file, "/run/netns/") {
		return file
	}
	return fmt.Sprintf("/proc/%d/ns/net", pid)
}

func (c *client) connect(ctx context.Context, name, infraID string, e endpoint) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	o := &nettypes.PerNetworkOptions{}
	if e.addr.IsValid() {
		o.StaticIPs = []net.IP{e.addr.AsSlice()}
	}
	if mac, err := net.ParseMAC(e.mac); err == nil {
		o.StaticMAC = nettypes.HardwareAddr(mac)
	}
	if err := network.Connect(ctx, name, infraID, o); err != nil {
		return fmt.Errorf("connecting infra container %.12s to network %s: %w", infraID, name, err)
	}
	return nil
}

func (c *client) disconnect(ctx context.Context, name, infraID string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	err = network.Disconnect(ctx, name, infraID, nil)
	if err != nil && !strings.Contains(err.Error(), "is not connected to network") {
		return fmt.Errorf("disconnecting infra container %.12s from network %s: %w", infraID, name, err)
	}
	return nil
}

func (c *client) networks(ctx context.Context, owner string) ([]networkInfo, error) {
	return c.listNetworks(ctx, byOwner(owner))
}

func (c *client) networkNamed(ctx context.Context, name string) (networkInfo, bool, error) {
	list, err := c.listNetworks(ctx, map[string][]string{"name": {"^" + name + "$"}})
	for _, n := range list {
		if n.name == name {
			return n, true, err
		}
	}
	return networkInfo{}, false, err
}

func (c *client) listNetworks(ctx context.Context, filters map[string][]string) ([]networkInfo, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return nil, err
	}
	list, err := network.List(ctx, &network.ListOptions{Filters: filters})
	if err != nil {
		return nil, fmt.Errorf("listing networks: %w", err)
	}
	found := make([]networkInfo, 0, len(list))
	for _, n := range list {
		info := networkInfo{name: n.Name, internal: n.Internal, bridge: n.NetworkInterface, dns: n.DNSEnabled, labels: n.Labels}
		for _, s := range n.Subnets {
			if p, err := netip.ParsePrefix(s.Subnet.String()); err == nil {
				info.subnet = p
			}
		}
		found = append(found, info)
	}
	return found, nil
}

func (c *client) createNetwork(ctx context.Context, n networkInfo) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	subnet, err := nettypes.ParseCIDR(n.subnet.String())
	if err != nil {
		return fmt.Errorf("subnet %s of network %s: %w", n.subnet, n.name, err)
	}
	first, last := dynamicRange(n.subnet)
	_, err = network.Create(ctx, &nettypes.Network{
		Name: n.name, Driver: "bridge", Internal: n.internal, Labels: n.labels,
		Subnets: []nettypes.Subnet{{Subnet: subnet, LeaseRange: &nettypes.LeaseRange{StartIP: net.IP(first.AsSlice()), EndIP: net.IP(last.AsSlice())}}},
		// Two bridge networks of one host route to each other unless both are isolated.
		Options: map[string]string{"isolate": "true"},
	})
	if err != nil {
		return fmt.Errorf("creating network %s with subnet %s: %w", n.name, n.subnet, err)
	}
	return nil
}

func (c *client) removeNetwork(ctx context.Context, name string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	_, err = network.Remove(ctx, name, nil)
	switch {
	case err == nil || notFound(err):
		return nil
	case inUse(err):
		return errBusy
	}
	return fmt.Errorf("removing network %s: %w", name, err)
}
