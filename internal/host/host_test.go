package host

import (
	"bytes"
	"compress/gzip"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

// tree reads a machine's files from testdata/NAME.txt: lines "-- PATH --", each followed by the file's content.
func tree(t *testing.T, name string) fstest.MapFS {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	var current *fstest.MapFile
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(line, "-- "); ok {
			current = &fstest.MapFile{Mode: 0o644}
			files[strings.TrimSuffix(path, " --\n")] = current
		} else if current != nil {
			current.Data = append(current.Data, line...)
		}
	}
	return files
}

var (
	root = Who{Name: "root"}
	ada  = Who{UID: 1000, Name: "ada"}
)

// TestDetect looks at machines whose files stand in testdata. Only container-v1 was recorded from a live machine: those
// with systemd or cgroup v2 are written after the documentation that each names, and have not been seen running.
func TestDetect(t *testing.T) {
	for name, c := range map[string]struct {
		tree string
		who  Who
		want Host
	}{
		"v2 with systemd": {"laptop-v2", root, Host{
			Cgroups: Cgroups{CgroupV2, []string{"cpu", "cpuset", "dmem", "hugetlb", "io", "memory", "misc", "pids", "rdma"}},
			Systemd: true, Init: "systemd", NFTables: Yes, Firewall: Firewall{Kind: Firewalld}, UnprivilegedPortStart: 1024,
			Limits: Limits{InotifyInstances: 128, PIDs: 30000},
		}},
		"rootless v2": {"rootless-v2", ada, Host{
			Cgroups: Cgroups{CgroupV2, []string{"cpu", "memory", "pids"}},
			Systemd: true, Init: "systemd", Lingers: true, NFTables: Yes, UnprivilegedPortStart: 80,
			Rootless: Rootless{SubUIDs: 65536, SubGIDs: 65536, IDMapTools: true, NetworkTool: "pasta", Tun: true, UserNamespaces: true},
			Limits:   Limits{InotifyInstances: 128, PIDs: 4194304},
		}},
		"rootless v2 without cpu": {"rootless-v2-no-cpu", ada, Host{
			Cgroups: Cgroups{CgroupV2, []string{"memory", "pids"}},
			Systemd: true, Init: "systemd", NFTables: Yes, UnprivilegedPortStart: 1024,
			Rootless: Rootless{SubUIDs: 65536, SubGIDs: 65536, IDMapTools: true, NetworkTool: "slirp4netns", Tun: true, UserNamespaces: true},
			Limits:   Limits{InotifyInstances: 128, PIDs: 4194304},
		}},
		"v1 container": {"container-v1", root, Host{
			Cgroups: Cgroups{CgroupHybrid, []string{"cpu", "cpuset", "io", "memory", "pids"}},
			Init:    "process_api", NFTables: Yes, UnprivilegedPortStart: 1024, Limits: Limits{InotifyInstances: 128, PIDs: 32768},
		}},
		"v1 container, rootless": {"container-v1", ada, Host{
			Cgroups: Cgroups{CgroupHybrid, nil}, Init: "process_api", NFTables: Yes, UnprivilegedPortStart: 1024,
			Rootless: Rootless{IDMapTools: true, NetworkTool: "pasta", UserNamespaces: true},
			Limits:   Limits{InotifyInstances: 128, PIDs: 32768},
		}},
		"hybrid": {"hybrid", root, Host{
			Cgroups: Cgroups{CgroupHybrid, []string{"cpu", "io", "pids"}},
			Systemd: true, Init: "systemd", NFTables: No, Firewall: Firewall{Kind: UFW, Opened: []string{"10.1.0.0/16"}}, UnprivilegedPortStart: 1024,
			Limits: Limits{InotifyInstances: 64, PIDs: 1024},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Who = c.who
			if got := Detect(tree(t, c.tree), c.who); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestDetectPureV1(t *testing.T) {
	files := tree(t, "container-v1")
	delete(files, "sys/fs/cgroup/unified/cgroup.controllers")
	if got := Detect(files, ada).Cgroups; got.Version != CgroupV1 || len(got.Controllers) > 0 {
		t.Errorf("got %+v", got)
	}
	if got := Detect(fstest.MapFS{}, root); got.Cgroups.Version != CgroupNone || got.NFTables != Unknown {
		t.Errorf("an empty machine: %+v", got)
	}
}

func TestThisMachine(t *testing.T) {
	h := Detect(os.DirFS("/"), root)
	if h.Cgroups.Version == "" || h.Init == "" || h.UnprivilegedPortStart == 0 || h.Limits.PIDs == 0 {
		t.Errorf("learned too little of this machine: %+v", h)
	}
}

func TestKernelConfig(t *testing.T) {
	for config, want := range map[string]Known{
		"CONFIG_NF_TABLES=y\nCONFIG_NF_TABLES_INET=y\n":          Yes,
		"CONFIG_NF_TABLES=m\n# CONFIG_NF_TABLES_INET is not set": No,
		"# CONFIG_NF_TABLES is not set\n":                        No,
	} {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write([]byte(config))
		_ = w.Close()
		if got := Detect(fstest.MapFS{"proc/config.gz": {Data: packed.Bytes()}}, root).NFTables; got != want {
			t.Errorf("%q: %s, want %s", config, got, want)
		}
	}
}

func TestUserNamespacesForbidden(t *testing.T) {
	for file, c := range map[string]struct{ value, mend string }{
		"proc/sys/user/max_user_namespaces":                     {"0", "user.max_user_namespaces=15000"},
		"proc/sys/kernel/unprivileged_userns_clone":             {"0", "kernel.unprivileged_userns_clone=1"},
		"proc/sys/kernel/apparmor_restrict_unprivileged_userns": {"1", "kernel.apparmor_restrict_unprivileged_userns=0"},
	} {
		files := tree(t, "rootless-v2")
		files[file] = &fstest.MapFile{Data: []byte(c.value + "\n")}
		lack, ok := Detect(files, ada).Lack(TopicUserNamespaces)
		if !ok || !lack.Fatal || !strings.Contains(lack.Because, "/"+file) || !strings.Contains(lack.Mend, c.mend) {
			t.Errorf("%s: %+v", file, lack)
		}
	}
	files := tree(t, "rootless-v2")
	files["proc/sys/kernel/apparmor_restrict_unprivileged_userns"].Data = []byte("1\n")
	files["etc/apparmor.d/podman"] = &fstest.MapFile{}
	if lack, ok := Detect(files, ada).Lack(TopicUserNamespaces); ok {
		t.Errorf("AppArmor's profile for Podman allows it: %+v", lack)
	}
}

func TestLacks(t *testing.T) {
	for name, c := range map[string]struct {
		tree string
		who  Who
		want map[Topic]string
	}{
		"v2 with systemd": {"laptop-v2", root, nil},
		"rootless v2":     {"rootless-v2", ada, nil},
		"rootless v2 without cpu": {"rootless-v2-no-cpu", ada, map[Topic]string{
			TopicCPULimits: "cpu is not delegated to ada", TopicPorts: "below 1024", TopicBoot: "lingering is off",
		}},
		"v1 container": {"container-v1", root, map[Topic]string{TopicBoot: "process 1 is process_api"}},
		"v1 container, rootless": {"container-v1", ada, map[Topic]string{
			TopicMemoryLimits: "hybrid gives users no controllers, memory", TopicCPULimits: "cpu", TopicPIDLimits: "pids",
			TopicSubordinateIDs: "ada has no ranges", TopicRootlessNetwork: "/dev/net/tun", TopicPorts: "below 1024", TopicBoot: "process_api",
		}},
		"hybrid": {"hybrid", root, map[Topic]string{
			TopicMemoryLimits: "no cgroup controller memory", TopicNetworkPolicies: "no nftables", TopicInotify: "64", TopicProcesses: "1024",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[Topic]string{}
			for _, l := range Detect(tree(t, c.tree), c.who).Lacks() {
				got[l.Topic] = l.Because
				if l.Consequence == "" || l.Mend == "" {
					t.Errorf("%s has no consequence or mend: %+v", l.Topic, l)
				}
				if !strings.Contains(l.Because, c.want[l.Topic]) || c.want[l.Topic] == "" {
					t.Errorf("%s: %q, want %q", l.Topic, l.Because, c.want[l.Topic])
				}
			}
			for topic := range c.want {
				if got[topic] == "" {
					t.Errorf("%s is not said", topic)
				}
			}
		})
	}
}

func TestRootlessLacks(t *testing.T) {
	for name, c := range map[string]struct {
		change func(fstest.MapFS)
		topic  Topic
		says   string
		fatal  bool
	}{
		"few ids":    {func(f fstest.MapFS) { f["etc/subgid"].Data = []byte("1000:100000:1000\n") }, TopicSubordinateIDs, "1000 in /etc/subuid", false},
		"two ranges": {func(f fstest.MapFS) { f["etc/subuid"].Data = []byte("ada:1:30000\nada:50000:40000\n") }, "", "", false},
		"no tools":   {func(f fstest.MapFS) { delete(f, "usr/bin/newgidmap") }, TopicSubordinateIDs, "newgidmap", true},
		"no network": {func(f fstest.MapFS) { delete(f, "usr/bin/pasta") }, TopicRootlessNetwork, "slirp4netns", true},
		"no tun":     {func(f fstest.MapFS) { delete(f, "dev/net/tun") }, TopicRootlessNetwork, "can't be opened", true},
		"not logged in": {func(f fstest.MapFS) {
			delete(f, "sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers")
		}, TopicCPULimits, "not delegated", false},
	} {
		t.Run(name, func(t *testing.T) {
			files := tree(t, "rootless-v2")
			c.change(files)
			h := Detect(files, ada)
			if c.topic == "" {
				if all := h.Lacks(); len(all) > 0 {
					t.Errorf("got %+v", all)
				}
				return
			}
			if lack, _ := h.Lack(c.topic); !strings.Contains(lack.Because, c.says) || lack.Fatal != c.fatal {
				t.Errorf("got %+v", lack)
			}
		})
	}
}

func TestPodmanLacks(t *testing.T) {
	for version, want := range map[string]int{"5.4.2": 1, "5.6.0": 0, "5.8.4-dev": 0, "": 1} {
		if got := PodmanLacks(version); len(got) != want {
			t.Errorf("%q: %+v", version, got)
		}
	}
}

func TestAtLeast(t *testing.T) {
	for _, c := range []struct {
		have, want string
		is         bool
	}{{"5.4.0", "5.4.0", true}, {"5.10.0", "5.4.0", true}, {"5.3.9", "5.4.0", false}, {"v1.32.4-dispatcher", "1.30.0", true},
		{"5.4.0-rc1", "5.4.0", true}, {"", "5.4.0", false}, {"6", "5.4.0", true}, {"5", "5.4.0", false}} {
		if got := AtLeast(c.have, c.want); got != c.is {
			t.Errorf("%q is at least %q: %t", c.have, c.want, got)
		}
	}
}
