package cgroup

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

const id = "0123456789abcdef"

func machine(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func version2() map[string]string {
	group := "sys/fs/cgroup/machine.slice/libpod-" + id + ".scope/"
	return map[string]string{
		"proc/self/mountinfo":              "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
		"sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
		"proc/42/cgroup":                   "0::/machine.slice/libpod-" + id + ".scope/container\n",
		group + "cpu.stat":                 "usage_usec 1500000\nuser_usec 1\n",
		group + "memory.current":           "1000\n",
		group + "memory.stat":              "anon 1\ninactive_anon 5\ninactive_file 300\n",
		group + "memory.max":               "4096\n",
	}
}

func version1() map[string]string {
	return map[string]string{
		"proc/self/mountinfo": "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup memory rw,memory\n" +
			"32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cpu rw,cpu,cpuacct\n33 23 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
		"sys/fs/cgroup/unified/cgroup.controllers": "\n",
		"proc/42/cgroup": "5:memory:/p/libpod-" + id + "\n4:cpu,cpuacct:/q/libpod-" + id + "/init\n0::/x\n",
		"sys/fs/cgroup/cpu,cpuacct/q/libpod-" + id + "/cpuacct.usage":    "1500000000\n",
		"sys/fs/cgroup/memory/p/libpod-" + id + "/memory.usage_in_bytes": "1000\n",
		"sys/fs/cgroup/memory/p/libpod-" + id + "/memory.stat":           "inactive_file 1\ntotal_inactive_file 300\n",
		"sys/fs/cgroup/memory/p/libpod-" + id + "/memory.limit_in_bytes": "4096\n",
	}
}

func TestRead(t *testing.T) {
	for name, files := range map[string]map[string]string{"v2": version2(), "v1": version1()} {
		r, err := newReader(machine(files))
		if err != nil {
			t.Fatal(err)
		}
		want := Usage{CPU: 1500 * time.Millisecond, WorkingSet: 700, Limit: 4096}
		if got, err := r.Read(42, id); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for file := range files {
			if strings.HasSuffix(file, "memory.max") {
				files[file] = "max\n"
			}
			if strings.HasSuffix(file, "limit_in_bytes") {
				files[file] = "9223372036854771712\n"
			}
		}
		r, _ = newReader(machine(files))
		if got, err := r.Read(42, id); err != nil || got.Limit != 0 {
			t.Errorf("%s without a limit: %+v, %v", name, got, err)
		}
		if got, err := r.Read(42, "fedcba9876543210"); err == nil || !strings.Contains(err.Error(), "of its own") {
			t.Errorf("%s: another's cgroup is read: %+v, %v", name, got, err)
		}
		if _, err := r.Read(43, id); err == nil {
			t.Errorf("%s: there is no such process", name)
		}
		for file := range files {
			if strings.HasSuffix(file, "memory.stat") {
				files[file] = "other 1\n"
			}
		}
		r, _ = newReader(machine(files))
		if got, err := r.Read(42, id); err == nil || !strings.Contains(err.Error(), "inactive_file") {
			t.Errorf("%s, a file without the figure: %+v, %v", name, got, err)
		}
	}
}
