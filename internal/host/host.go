// Package host learns from a machine's own files what it offers to containers, and says what it can't do, with the
// consequence and the mend. The files are read through an fs.FS, so that other machines than this can be looked at.
package host

import (
	"io/fs"
	"strconv"
	"strings"
)

// Who asks: the user whose Podman runs the containers.
type Who struct {
	// UID is 0 for a rootful Podman.
	UID int
	// Name as in /etc/subuid; it may be empty for root.
	Name string
}

// Rootless tells whether a Podman of this user is.
func (w Who) Rootless() bool { return w.UID != 0 }

// Host is what a machine offers to the containers of one user.
type Host struct {
	Who     Who
	Cgroups Cgroups
	// Systemd tells whether it is the first process. Init is the name of the first process, whatever it is.
	Systemd bool
	Init    string
	// Lingers tells whether systemd keeps the user's units running while the user is not logged in.
	Lingers bool
	// Rootless is what a rootless Podman needs; filled for users other than root only.
	Rootless Rootless
	// NFTables tells whether the kernel can load NetworkPolicies.
	NFTables Known
	Firewall Firewall
	// UnprivilegedPortStart is the first port that users other than root may open.
	UnprivilegedPortStart int
	Limits                Limits
}

// Known is an answer that may be missing: not every kernel tells what it can do.
type Known string

// The answers.
const (
	Yes     Known = "yes"
	No      Known = "no"
	Unknown Known = "unknown"
)

// Detect looks at the machine whose root folder is root; os.DirFS("/") is this one. What can't be read is taken as not
// there. It starts no program and asks no network.
func Detect(root fs.FS, who Who) Host {
	f := files{root}
	h := Host{
		Who:                   who,
		Cgroups:               f.cgroups(who),
		Systemd:               f.isDir("run/systemd/system"), // sd_booted(3)
		Init:                  f.text("proc/1/comm"),
		NFTables:              f.nftables(),
		Firewall:              f.firewall(who),
		UnprivilegedPortStart: f.number("proc/sys/net/ipv4/ip_unprivileged_port_start", 1024),
		Limits:                f.limits(),
	}
	if who.Rootless() {
		h.Rootless = f.rootless(who)
		h.Lingers = f.exists("var/lib/systemd/linger/" + who.Name) // what loginctl enable-linger leaves
	}
	return h
}

// files are those of the machine. Paths have no leading slash.
type files struct{ fs.FS }

func (f files) exists(path string) bool {
	_, err := fs.Stat(f, path)
	return err == nil
}

func (f files) isDir(path string) bool {
	info, err := fs.Stat(f, path)
	return err == nil && info.IsDir()
}

// text is the content of a small file without the space around it; empty if it can't be read.
func (f files) text(path string) string {
	content, err := fs.ReadFile(f, path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// number is what a file says, or otherwise if it can't be read or says no number.
func (f files) number(path string, otherwise int) int {
	n, err := strconv.Atoi(f.text(path))
	if err != nil {
		return otherwise
	}
	return n
}

// anywhere finds a program in the folders where distributions put them.
func (f files) anywhere(name string) bool {
	for _, folder := range []string{"usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "bin", "sbin", "usr/lib/podman", "usr/libexec/podman"} {
		if f.exists(folder + "/" + name) {
			return true
		}
	}
	return false
}
