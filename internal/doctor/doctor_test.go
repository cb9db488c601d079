package doctor

import (
	"maps"
	"net/netip"
	"os"
	"strings"
	"testing"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/host"
	"mockup.dev/mockup/internal/podmansocket"
	"mockup.dev/mockup/manifests"
)

// fit is a host on which everything is well.
func fit() Facts {
	f := Facts{
		Host: rootHost(), PodmanPath: "/usr/bin/podman", PodmanBinary: "5.4.2", Socket: "unix:///run/podman/podman.sock", Kubectl: "1.32.1",
		Images: map[string]bool{"localhost/web:1": true}, MemoryAvailable: 8 * gib, Firewall: []string{"nft"},
		Disks:  []Disk{{What: "images", Path: "/var", Free: 10 * gib, Low: 2 * gib, Minimum: gib}},
		Routes: []Route{{netip.MustParsePrefix("0.0.0.0/0"), "eth0"}, {netip.MustParsePrefix("192.168.1.0/24"), "eth0"}},
	}
	f.Info.Version.Version = "5.8.4"
	h := &f.Info.Host
	h.OCIRuntime.Name, h.OCIRuntime.Path, h.OCIRuntime.Version = "crun", "/usr/bin/crun", "crun version 1.21\ncommit: 10269840aa07fb7e6b7e1acff6198692d8ff5c88"
	h.Conmon.Path, h.Conmon.Version = "/usr/bin/conmon", "conmon version 2.1.12, commit: "
	h.NetworkBackend, h.NetworkBackendInfo.Path, h.NetworkBackendInfo.Version = "netavark", "/usr/lib/podman/netavark", "netavark 1.14.0"
	h.NetworkBackendInfo.DNS.Path, h.NetworkBackendInfo.DNS.Version = "/usr/lib/podman/aardvark-dns", "aardvark-dns 1.14.0"
	return f
}

func rootHost() host.Host {
	return host.Host{
		Who: host.Who{Name: "root"}, Cgroups: host.Cgroups{Version: host.CgroupV2, Controllers: []string{"cpu", "memory", "pids"}},
		Systemd: true, Init: "systemd", NFTables: host.Yes, UnprivilegedPortStart: 1024,
		Limits: host.Limits{InotifyInstances: 128, PIDs: 32768},
	}
}

func rootlessHost() host.Host {
	h := rootHost()
	h.Who, h.Lingers = host.Who{UID: 1000, Name: "ada"}, true
	h.Rootless = host.Rootless{SubUIDs: 65536, SubGIDs: 65536, IDMapTools: true, NetworkTool: "pasta", Tun: true, UserNamespaces: true}
	return h
}

const owner = "MockupStack.default.shop"

func need() Need {
	return Need{
		Ports:   []Port{{Number: 8443, Owner: owner}},
		Subnets: []Subnet{{Name: "public", Prefix: netip.MustParsePrefix("10.1.0.0/16"), Owner: owner}},
		Images:  []string{"localhost/web:1"},
	}
}

func TestAFitHostHasNoFindings(t *testing.T) {
	for _, h := range []host.Host{rootHost(), rootlessHost()} {
		f := fit()
		f.Host = h
		for _, finding := range Check(f, need()) {
			if finding.Level != OK {
				t.Errorf("%s: %+v", h.Who.Name, finding)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	lo := netip.MustParseAddr("127.0.0.1")
	for name, c := range map[string]struct {
		change func(*Facts, *Need)
		check  string
		level  Level
		says   string
	}{
		"no podman at all":       {func(f *Facts, _ *Need) { f.Socket, f.PodmanPath = "", "" }, "podman socket", Fail, "none answers"},
		"podman without service": {func(f *Facts, _ *Need) { f.Socket = "" }, "podman socket", Warn, "none answers"},
		"old service":            {func(f *Facts, _ *Need) { f.Info.Version.Version = "5.3.9" }, "podman socket", Fail, "too old"},
		"old command":            {func(f *Facts, _ *Need) { f.PodmanBinary = "4.3.1" }, "podman command", Fail, "too old"},
		"no command":             {func(f *Facts, _ *Need) { f.PodmanPath = "" }, "podman command", Warn, "not in PATH"},
		"no runtime":             {func(f *Facts, _ *Need) { f.Info.Host.OCIRuntime.Path = "" }, "container runtime", Fail, "no OCI runtime"},
		"no conmon":              {func(f *Facts, _ *Need) { f.Info.Host.Conmon.Path = "" }, "container runtime", Fail, "conmon"},
		"old crun":               {func(f *Facts, _ *Need) { f.Info.Host.OCIRuntime.Version = "crun version 1.8.1" }, "container runtime", Fail, "1.8.1"},
		"cni":                    {func(f *Facts, _ *Need) { f.Info.Host.NetworkBackend = "cni" }, "container networks", Fail, "cni"},
		"no dns":                 {func(f *Facts, _ *Need) { f.Info.Host.NetworkBackendInfo.DNS.Path = "" }, "container networks", Fail, "aardvark"},
		"cgroup v1, rootless": {func(f *Facts, _ *Need) {
			f.Host = rootlessHost()
			f.Host.Cgroups = host.Cgroups{Version: host.CgroupV1}
		}, "limits of memory", Warn, "no controllers, memory among them: a container may use more"},
		"cgroup v1, root":           {func(f *Facts, _ *Need) { f.Host.Cgroups.Version = host.CgroupV1 }, "cgroups", OK, "version 1, which"},
		"cgroup v2":                 {func(_ *Facts, _ *Need) {}, "cgroups", OK, "version 2 with cpu, memory, pids"},
		"no cgroups":                {func(f *Facts, _ *Need) { f.Host.Cgroups.Version = host.CgroupNone }, "cgroups", Fail, "no container can be started"},
		"controller missing":        {func(f *Facts, _ *Need) { f.Host.Cgroups.Controllers = []string{"memory", "pids"} }, "limits of CPU", Warn, "cpu"},
		"no firewall":               {func(f *Facts, _ *Need) { f.Firewall = nil }, "firewall commands", Fail, "nft"},
		"no subordinate ids":        {func(f *Facts, _ *Need) { f.Host = rootlessHost(); f.Host.Rootless.SubUIDs = 0 }, "subordinate ids", Fail, "ada"},
		"no tun":                    {func(f *Facts, _ *Need) { f.Host = rootlessHost(); f.Host.Rootless.Tun = false }, "rootless networks", Fail, "can't be opened"},
		"tun":                       {func(f *Facts, _ *Need) { f.Host = rootlessHost() }, "rootless networks", OK, "pasta"},
		"no systemd":                {func(f *Facts, _ *Need) { f.Host.Systemd, f.Host.Init = false, "init" }, "start at boot", OK, "process 1 is init"},
		"no lingering":              {func(f *Facts, _ *Need) { f.Host = rootlessHost(); f.Host.Lingers = false }, "start at boot", Warn, "last logout"},
		"no nftables":               {func(f *Facts, _ *Need) { f.Host.NFTables = host.No }, "network policies", Warn, "not enforced"},
		"silent kernel":             {func(f *Facts, _ *Need) { f.Host.NFTables = host.Unknown }, "network policies", OK, "does not tell"},
		"podman without stopSignal": {func(f *Facts, _ *Need) { f.Info.Version.Version = "5.4.2" }, "stop signals", Warn, "5.4.2 is older than 5.6.0"},
		"firewalld":                 {func(f *Facts, _ *Need) { f.Host.Firewall.Kind = host.Firewalld }, "names behind a firewall", OK, "trusted"},
		"ufw":                       {func(f *Facts, _ *Need) { f.Host.Firewall.Kind = host.UFW }, "names behind a firewall", Warn, "by name"},
		"ufw for another": {func(f *Facts, _ *Need) {
			f.Host.Firewall = host.Firewall{Kind: host.UFW, Opened: []string{"10.2.0.0/16"}}
		}, "names behind a firewall", Warn, "by name"},
		"ufw for a part of it": {func(f *Facts, _ *Need) {
			f.Host.Firewall = host.Firewall{Kind: host.UFW, Opened: []string{"10.1.0.0/24"}}
		}, "names behind a firewall", Warn, "by name"},
		"ufw that lets in": {func(f *Facts, _ *Need) {
			f.Host.Firewall = host.Firewall{Kind: host.UFW, Opened: []string{"10.0.0.0/8"}}
		}, "names behind a firewall", OK, "lets port 53 in"},
		"nft drops":              {func(f *Facts, _ *Need) { f.InputDrops = []host.Chain{{Table: "inet filter", Name: "input"}} }, "names behind a firewall", Warn, "chain input of table inet filter"},
		"privileged port":        {func(f *Facts, n *Need) { f.Host = rootlessHost(); n.Ports[0].Number = 443 }, "port 443", Fail, "below 1024"},
		"privileged port, root":  {func(_ *Facts, n *Need) { n.Ports[0].Number = 443 }, "port 443", OK, "free"},
		"port of a process":      {func(f *Facts, _ *Need) { f.Listeners = []Listener{{Port: 8443, PID: 7, Command: "nginx"}} }, "port 8443", Fail, "process 7 (nginx)"},
		"port of another user's": {func(f *Facts, _ *Need) { f.Listeners = []Listener{{Port: 8443}} }, "port 8443", Fail, "another user"},
		"port of another pod": {func(f *Facts, _ *Need) {
			f.Published = []Published{{Port: 8443, Holder: "pod x", Owner: "MockupStack.default.blog"}}
		}, "port 8443", Fail, "pod x of MockupStack.default.blog"},
		"port of a container":   {func(f *Facts, _ *Need) { f.Published = []Published{{Port: 8443, Holder: "container web"}} }, "port 8443", Fail, "container web"},
		"port of this very pod": {func(f *Facts, _ *Need) { f.Published = []Published{{Port: 8443, Holder: "pod x", Owner: owner}} }, "port 8443", OK, "already"},
		"port elsewhere": {func(f *Facts, n *Need) {
			n.Ports[0].Address = lo
			f.Listeners = []Listener{{Port: 8443, Address: netip.MustParseAddr("10.0.0.1"), PID: 7}}
		}, "port 8443", OK, "free"},
		"port on this address": {func(f *Facts, n *Need) {
			n.Ports[0].Address = lo
			f.Listeners = []Listener{{Port: 8443, Address: lo, PID: 7}}
		}, "port 8443", Fail, "process 7"},
		"port on all addresses": {func(f *Facts, n *Need) {
			n.Ports[0].Address = lo
			f.Listeners = []Listener{{Port: 8443, Address: netip.IPv6Unspecified(), PID: 7}}
		}, "port 8443", Fail, "process 7"},
		"subnet of a network": {func(f *Facts, _ *Need) {
			f.Networks = []Network{{Name: "podman2", Prefix: netip.MustParsePrefix("10.1.2.0/24")}}
		}, "subnet 10.1.0.0/16", Fail, "podman2"},
		"subnet of a larger one": {func(f *Facts, _ *Need) {
			f.Networks = []Network{{Name: "big", Prefix: netip.MustParsePrefix("10.0.0.0/8")}}
		}, "subnet 10.1.0.0/16", Fail, "big"},
		"subnet of this stack": {func(f *Facts, _ *Need) {
			f.Networks = []Network{{Name: "n", Owner: owner, Interface: "podman1", Prefix: netip.MustParsePrefix("10.1.0.0/16")}}
			f.Routes = append(f.Routes, Route{netip.MustParsePrefix("10.1.0.0/16"), "podman1"})
		}, "subnet 10.1.0.0/16", OK, "already"},
		"subnet of a route": {func(f *Facts, _ *Need) {
			f.Routes = append(f.Routes, Route{netip.MustParsePrefix("10.0.0.0/8"), "tun0"})
		}, "subnet 10.1.0.0/16", Fail, "tun0"},
		"local image missing":     {func(f *Facts, _ *Need) { f.Images = nil }, "image", Fail, "localhost/web:1 is not there"},
		"image in a registry":     {func(_ *Facts, n *Need) { n.Images = []string{"docker.io/library/nginx:1"} }, "image", Warn, "not there yet"},
		"little space":            {func(f *Facts, _ *Need) { f.Disks[0].Free = gib - 1 }, "space for images", Fail, "too little"},
		"not much space":          {func(f *Facts, _ *Need) { f.Disks[0].Free = gib }, "space for images", Warn, "not much"},
		"little memory":           {func(f *Facts, _ *Need) { f.MemoryAvailable = 300 * mib }, "memory", Fail, "300 MiB"},
		"not much memory":         {func(f *Facts, _ *Need) { f.MemoryAvailable = 600 * mib }, "memory", Warn, "600 MiB"},
		"no kubectl":              {func(f *Facts, _ *Need) { f.Kubectl = "" }, "kubectl", Warn, "not in PATH"},
		"old kubectl":             {func(f *Facts, _ *Need) { f.Kubectl = "1.29.9" }, "kubectl", Warn, "1.29.9"},
		"kubectl of a vendor":     {func(f *Facts, _ *Need) { f.Kubectl = "1.30.0-gke.1" }, "kubectl", OK, "1.30.0-gke.1"},
		"memory that is just due": {func(f *Facts, _ *Need) { f.MemoryAvailable = gib }, "memory", OK, "1024 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			f, n := fit(), need()
			c.change(&f, &n)
			for _, finding := range Check(f, n) {
				if finding.Check != c.check {
					continue
				}
				if finding.Level != c.level || !strings.Contains(finding.Message, c.says) {
					t.Errorf("got %+v, want %s with %q", finding, c.level, c.says)
				}
				if finding.Level != OK && finding.Mend == "" {
					t.Errorf("%+v does not say how to mend it", finding)
				}
				return
			}
			t.Errorf("there is no check %q", c.check)
		})
	}
}

func TestFirewallMend(t *testing.T) {
	f, n := fit(), need()
	f.Host.Firewall.Kind = host.UFW
	if got := checkNames(f, n)[0].Mend; got != "sudo ufw allow from 10.1.0.0/16 to any port 53" {
		t.Errorf("ufw: %s", got)
	}
	f = fit()
	f.InputDrops = []host.Chain{{Table: "inet filter", Name: "input"}}
	if got := checkNames(f, n)[0].Mend; got != "sudo nft insert rule inet filter input ip saddr 10.1.0.0/16 meta l4proto '{ tcp, udp }' th dport 53 accept" {
		t.Errorf("nft: %s", got)
	}
	f.Host = rootlessHost()
	if got := checkNames(f, n); got != nil {
		t.Errorf("rootless: %+v", got)
	}
}

func TestParseSockets(t *testing.T) {
	content, err := os.ReadFile("testdata/tcp")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range parseSockets(string(content)) {
		got = append(got, netip.AddrPortFrom(s.address, s.port).String()+" "+s.inode)
	}
	if want := "127.0.0.1:8080 111;0.0.0.0:443 222;[::]:8443 444"; strings.Join(got, ";") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ";"), want)
	}
}

func TestParseRoutes(t *testing.T) {
	got := parseRoutes("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"tun0\t0000080A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n")
	if len(got) != 2 || got[0].Prefix.Bits() != 0 || got[1].Prefix.String() != "10.8.0.0/16" || got[1].Interface != "tun0" {
		t.Errorf("got %v", got)
	}
}

func TestPublished(t *testing.T) {
	c := podmansocket.Container{Names: []string{"0123-infra"}, Pod: "p1"}
	c.Ports = append(c.Ports, struct {
		HostIP   string `json:"host_ip"`
		HostPort uint16 `json:"host_port"`
		Range    uint16 `json:"range"`
		Protocol string `json:"protocol"`
	}{"", 8443, 2, "tcp"})
	got := published([]podmansocket.Container{c}, []podmansocket.Pod{{ID: "p1", Name: "gateway-0", Labels: map[string]string{"mockup.dev/owner": owner}}})
	if len(got) != 2 || got[1].Port != 8444 || got[0].Holder != "pod gateway-0" || got[0].Owner != owner || got[0].Address.IsValid() {
		t.Errorf("got %+v", got)
	}
	if got := published([]podmansocket.Container{c}, nil); got[0].Holder != "container 0123-infra" {
		t.Errorf("got %+v", got)
	}
}

func TestNeedOf(t *testing.T) {
	s := &v1alpha1.MockupStack{}
	s.Namespace, s.Name = "default", "shop"
	s.Spec.Networks = []v1alpha1.Network{{Name: "public", Subnet: "10.1.0.0/16"}}
	s.Spec.Services = []v1alpha1.Service{{Name: "web", Image: "docker.io/x/web:1"}}
	s.Spec.Gateway = &v1alpha1.Gateway{HTTPS: v1alpha1.GatewayPort{HostPort: 8443, HostIP: "127.0.0.1"}, HTTP: &v1alpha1.GatewayPort{HostPort: 8080}, Image: "docker.io/x/nginx:1"}
	n := NeedOf([]*v1alpha1.MockupStack{s}, nil, map[string]string{"docker.io/x/web:1": "localhost/web:1"})
	if len(n.Ports) != 2 || n.Ports[0].Address.String() != "127.0.0.1" || n.Ports[1].Number != 8080 || n.Ports[1].Owner != owner {
		t.Errorf("ports: %+v", n.Ports)
	}
	if len(n.Subnets) != 1 || n.Subnets[0].Owner != owner {
		t.Errorf("subnets: %+v", n.Subnets)
	}
	if strings.Join(n.Images, ",") != "docker.io/x/nginx:1,localhost/web:1" {
		t.Errorf("images: %v", n.Images)
	}
	// The programs that observe a stack are nothing that most stacks need.
	if n := NeedOf(nil, nil, nil); len(n.Ports) != 2 || strings.Join(n.Images, ",") != manifests.ImageNginx {
		t.Errorf("without stacks: %+v", n)
	}
}

// TestNeedOfAnAddon asks for the ports and images of its programs, and not for those that only other addons need.
func TestNeedOfAnAddon(t *testing.T) {
	off, port := false, int32(9999)
	a := &v1alpha1.ObservabilityAddon{}
	a.Namespace, a.Name, a.Spec.StackRef.Name = "default", "watch", "shop"
	a.Spec.Alerting.Enabled = &off
	a.Spec.Logs.Expose.HostPort = &port
	a.Spec.Dashboards.Expose.HostIP = "0.0.0.0"
	a.Spec.Tracing.Ingest = []v1alpha1.TraceIngest{{Protocol: v1alpha1.TraceJaegerCompact, HostPort: 6831}, {Protocol: v1alpha1.TraceOTLPHTTP, HostPort: 4318}}
	images := map[string]string{manifests.ImageLoki: "localhost/loki:1"}
	gateless := &v1alpha1.MockupStack{}
	gateless.Namespace, gateless.Name, gateless.Spec.Networks = "default", "shop", []v1alpha1.Network{{Name: "net", Subnet: "10.1.0.0/24"}}
	for name, c := range map[string]struct {
		stacks   []*v1alpha1.MockupStack
		exporter bool
	}{"with its stack unknown": {nil, true}, "with a stack without gateway": {[]*v1alpha1.MockupStack{gateless}, false}} {
		n := NeedOf(c.stacks, []*v1alpha1.ObservabilityAddon{a}, images)
		got := map[uint16]string{}
		for _, p := range n.Ports {
			got[p.Number] = p.Address.String() + " " + p.Owner
		}
		want := map[uint16]string{}
		for _, port := range []uint16{9090, 9999, 16686, 4318} {
			want[port] = "127.0.0.1 ObservabilityAddon.default.watch"
		}
		want[3000] = "0.0.0.0 ObservabilityAddon.default.watch"
		if c.exporter {
			want[9113] = want[9090]
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: ports %v, want %v", name, got, want)
		}
		all := strings.Join(n.Images, ",")
		for image, needed := range map[string]bool{
			"localhost/loki:1": true, manifests.ImageLoki: false, manifests.ImagePrometheus: true, manifests.ImageAlertmanager: false,
			manifests.ImageOpenTelemetryCollector: false, manifests.ImageNginxExporter: c.exporter,
		} {
			if strings.Contains(all, image) != needed {
				t.Errorf("%s: %s is needed: %t; images: %s", name, image, needed, all)
			}
		}
	}
	held := fit()
	held.Published = []Published{{Port: 9090, Holder: "pod", Owner: "ObservabilityAddon.default.watch"}}
	p := Port{Number: 9090, Owner: "ObservabilityAddon.default.watch"}
	if f := checkPort(held, p); f.Level != OK || !strings.Contains(f.Message, "held by this addon already") {
		t.Errorf("got %+v", f)
	}
}
