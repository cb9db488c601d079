package host

import (
	"slices"
	"strconv"
	"strings"
)

// PodmanLacks are what a version of Podman can't do yet that later ones can and that mockup makes use of, from Podman's
// release notes.
func PodmanLacks(version string) []Lack {
	var all []Lack
	for _, l := range []struct {
		since string
		lack  Lack
	}{
		{"5.6.0", Lack{Topic: TopicStopSignal, Consequence: "lifecycle.stopSignal is ignored, and containers are ended by SIGTERM"}},
	} {
		if !AtLeast(version, l.since) {
			l.lack.Because = "Podman " + version + " is older than " + l.since
			l.lack.Mend = "install Podman " + l.since + " or newer"
			all = append(all, l.lack)
		}
	}
	return all
}

// AtLeast compares the numbers of versions, as far as want has them; what follows a - is ignored. Something that is no
// version is older than all.
func AtLeast(have, want string) bool {
	h, w := numbers(have), numbers(want)
	return len(h) > 0 && slices.Compare(h, w) >= 0
}

func numbers(version string) []int {
	version = strings.TrimPrefix(strings.TrimSpace(version), "v")
	if i := strings.IndexAny(version, "-+~ "); i >= 0 {
		version = version[:i]
	}
	var found []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return found
		}
		found = append(found, n)
	}
	return found
}
