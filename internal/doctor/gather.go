package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mockup.dev/mockup/internal/host"
	"mockup.dev/mockup/internal/podmansocket"
	"mockup.dev/mockup/manifests"
)

// Options of Gather.
type Options struct {
	// PodmanSocket is the URI that the user named, if any.
	PodmanSocket string
	// StateDir is where the control plane keeps its data; it need not be there.
	StateDir string
	// Quick leaves out what takes long to learn: the versions of Podman's helpers and of commands.
	Quick bool
}

// commandTimeout bounds a command that is asked for its version.
const commandTimeout = 10 * time.Second

// Gather learns the facts. What can't be learnt is left out, for a check to say so.
func Gather(ctx context.Context, o Options, n Need) Facts {
	f := Facts{Host: host.This(), Quick: o.Quick, Images: map[string]bool{}}
	if path, err := exec.LookPath("podman"); err == nil {
		f.PodmanPath = path
		if !o.Quick {
			f.PodmanBinary = versionOf(ctx, path, "--version")
		}
	}
	if !o.Quick {
		if path, err := exec.LookPath("kubectl"); err == nil {
			f.Kubectl = versionOf(ctx, path, "version", "--client")
		}
	}
	gatherPodman(ctx, &f, o, n)
	f.Listeners, f.Routes = listeners(n.Ports), routes()
	f.Disks = disks(f, o)
	f.MemoryAvailable = memoryAvailable()
	f.Firewall = present("nft", "iptables")
	f.InputDrops = inputDrops(ctx, f)
	return f
}

// inputDrops asks the kernel for its firewall, which it tells to root alone.
func inputDrops(ctx context.Context, f Facts) []host.Chain {
	if f.Host.Who.Rootless() || !slices.Contains(f.Firewall, "nft") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	ruleset, err := exec.CommandContext(ctx, "nft", "list", "ruleset").Output()
	if err != nil {
		return nil
	}
	return host.InputDrops(string(ruleset))
}

// present are those of the commands that are in PATH or where administrators' commands are.
func present(names ...string) []string {
	var found []string
	for _, name := range names {
		for _, path := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
			if _, err := exec.LookPath(path); err == nil {
				found = append(found, name)
				break
			}
		}
	}
	return found
}

func gatherPodman(ctx context.Context, f *Facts, o Options, n Need) {
	uri, err := podmansocket.Find(ctx, o.PodmanSocket)
	if err != nil {
		f.SocketError = strings.ReplaceAll(err.Error(), "\n", "; ")
		return
	}
	client, err := podmansocket.New(uri)
	if err != nil {
		f.SocketError = err.Error()
		return
	}
	if o.Quick {
		f.Info.Version.Version, err = client.Ping(ctx)
	} else {
		f.Info, err = client.Info(ctx)
	}
	if err != nil {
		f.SocketError = err.Error()
		return
	}
	f.Socket = uri
	if f.Host.Cgroups.Version == host.CgroupV2 && !o.Quick { // Podman knows what is delegated to itself
		f.Host.Cgroups.Controllers = f.Info.Host.CgroupControllers
	}
	if networks, err := client.Networks(ctx, ""); err == nil {
		f.Networks = networksOf(networks)
	}
	if containers, err := client.Containers(ctx); err == nil {
		pods, _ := client.Pods(ctx, "") // without them, containers have no pods
		f.Published = published(containers, pods)
	}
	for _, image := range n.Images {
		if there, err := client.ImageExists(ctx, image); err == nil {
			f.Images[image] = there
		}
	}
}

func networksOf(list []podmansocket.Network) []Network {
	var found []Network
	for _, n := range list {
		for _, s := range n.Subnets {
			if prefix, err := netip.ParsePrefix(s.Subnet); err == nil {
				found = append(found, Network{Name: n.Name, Owner: n.Labels[manifests.LabelOwner], Interface: n.Interface, Prefix: prefix})
			}
		}
	}
	return found
}

// published are the ports of containers. In a pod it is the infra container that has them, and the pod that has a name
// and labels.
func published(containers []podmansocket.Container, pods []podmansocket.Pod) []Published {
	byID := map[string]podmansocket.Pod{}
	for _, p := range pods {
		byID[p.ID] = p
	}
	var found []Published
	for _, c := range containers {
		holder, owner := "container "+strings.Join(c.Names, ","), ""
		if pod, ok := byID[c.Pod]; ok {
			holder, owner = "pod "+pod.Name, pod.Labels[manifests.LabelOwner]
		}
		for _, p := range c.Ports {
			address, _ := netip.ParseAddr(p.HostIP) // empty: all addresses, which the zero value says
			for i := range max(p.Range, 1) {
				if p.HostPort != 0 && p.Protocol == "tcp" {
					found = append(found, Published{Address: address, Port: p.HostPort + i, Holder: holder, Owner: owner})
				}
			}
		}
	}
	return found
}

func versionOf(ctx context.Context, path string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(firstVersion(string(out)), "v")
}

// disks are where images and volumes, and where the control plane's data go.
func disks(f Facts, o Options) []Disk {
	var all []Disk
	if root := f.Info.Store.GraphRoot; root != "" {
		all = append(all, Disk{What: "images and volumes", Path: root, Low: 2 * gib, Minimum: gib / 2})
	}
	if o.StateDir != "" { // etcd writes its log in files of 64 MB, made in advance
		all = append(all, Disk{What: "the control plane", Path: o.StateDir, Low: gib, Minimum: gib / 4})
	}
	for i := range all {
		all[i].Free = free(all[i].Path)
	}
	return all
}

// free bytes at path, or at the nearest folder above that is there.
func free(path string) int64 {
	var s syscall.Statfs_t
	for {
		err := syscall.Statfs(path, &s)
		if err == nil {
			return int64(s.Bavail) * s.Bsize
		}
		if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path {
			return 0
		}
		path = filepath.Dir(path)
	}
}

func memoryAvailable() int64 {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "MemAvailable:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64) // the kernel writes numbers
			return kib << 10
		}
	}
	return 0
}
