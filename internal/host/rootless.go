package host

import (
	"bufio"
	"io/fs"
	"strconv"
	"strings"
)

// Rootless is what a Podman without root needs of a machine.
type Rootless struct {
	// SubUIDs and SubGIDs are how many subordinate ids the user has; an image needs up to 65536.
	SubUIDs, SubGIDs int
	// IDMapTools tells whether newuidmap and newgidmap are there, NetworkTool which program leads out of the user's
	// network namespace: pasta, slirp4netns, or none.
	IDMapTools  bool
	NetworkTool string
	// Tun tells whether the user may open /dev/net/tun.
	Tun bool
	// UserNamespaces tells whether users may make them; if not, Forbidden names the file that says so.
	UserNamespaces bool
	Forbidden      string
}

// enoughIDs are the ids that images of distributions use.
const enoughIDs = 65536

func (f files) rootless(who Who) Rootless {
	r := Rootless{
		SubUIDs:    f.subordinate("etc/subuid", who),
		SubGIDs:    f.subordinate("etc/subgid", who),
		IDMapTools: f.anywhere("newuidmap") && f.anywhere("newgidmap"),
		Tun:        f.opens("dev/net/tun"),
	}
	for _, tool := range []string{"pasta", "slirp4netns"} {
		if r.NetworkTool == "" && f.anywhere(tool) {
			r.NetworkTool = tool
		}
	}
	r.Forbidden = f.forbidden()
	r.UserNamespaces = r.Forbidden == ""
	return r
}

// forbidden is the file that keeps users from making user namespaces; empty if they may.
func (f files) forbidden() string {
	const (
		most     = "proc/sys/user/max_user_namespaces"                     // namespaces(7)
		debian   = "proc/sys/kernel/unprivileged_userns_clone"             // a switch of Debian's kernels
		apparmor = "proc/sys/kernel/apparmor_restrict_unprivileged_userns" // Ubuntu from 23.10 on
	)
	switch {
	case f.number(most, 1) == 0:
		return "/" + most
	case f.number(debian, 1) == 0:
		return "/" + debian
	case f.number(apparmor, 0) == 1 && !f.exists("etc/apparmor.d/podman"): // the profile that lets Podman do so
		return "/" + apparmor
	}
	return ""
}

// subordinate counts the ids that file, in the format of subuid(5), gives the user.
func (f files) subordinate(path string, who Who) int {
	content, err := f.Open(path)
	if err != nil {
		return 0
	}
	defer content.Close()
	sum := 0
	for lines := bufio.NewScanner(content); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) != 3 || fields[0] != who.Name && fields[0] != strconv.Itoa(who.UID) {
			continue
		}
		if n, err := strconv.Atoi(fields[2]); err == nil {
			sum += n
		}
	}
	return sum
}

func (f files) opens(path string) bool {
	file, err := f.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	return err == nil && info.Mode()&fs.ModeDir == 0
}
