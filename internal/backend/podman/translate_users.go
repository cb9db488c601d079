package podman

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// writtenVolume is a volume with the container that writes to it first. A new volume is made to belong to that one's user:
// left to itself, Podman gives an empty volume to the user that starts first, and to root when the container is started
// again (fixVolumePermissions, container_internal_common.go).
type writtenVolume struct {
	volume string
	image  string
	// uid and gid that the manifest asks for; nil for the image's.
	uid, gid *int64
}

// writes notes what a container writes to. Names are those of Podman's volumes already.
func (v *podVolumes) writes(pod *corev1.PodSecurityContext, c *corev1.Container) {
	for _, m := range c.VolumeMounts {
		volume := m.Name
		if claim, ok := v.claimed[m.Name]; ok {
			volume = claim
		}
		known := func(w writtenVolume) bool { return w.volume == volume }
		if m.ReadOnly || slices.ContainsFunc(v.pod.written, known) {
			continue
		}
		w := writtenVolume{volume: volume, image: c.Image}
		if pod != nil {
			w.uid, w.gid = pod.RunAsUser, pod.RunAsGroup
		}
		if s := c.SecurityContext; s != nil {
			w.uid, w.gid = orElse(s.RunAsUser, w.uid), orElse(s.RunAsGroup, w.gid)
		}
		v.pod.written = append(v.pod.written, w)
	}
}

// user in numbers, as the manifest or else the image says; nil for root, and for a name that only the image can resolve.
func (w writtenVolume) user(image string) *user {
	name, group, hasGroup := strings.Cut(image, ":")
	uid, err := strconv.Atoi(name)
	if w.uid != nil {
		uid, err, hasGroup = int(*w.uid), nil, false
	}
	if err != nil || uid == 0 {
		return nil
	}
	u := &user{uid: uid}
	if gid, err := strconv.Atoi(group); err == nil && hasGroup {
		u.gid = gid
	}
	if w.gid != nil {
		u.gid = int(*w.gid)
	}
	return u
}
