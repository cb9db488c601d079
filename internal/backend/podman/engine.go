package podman

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"
)

// engine is what this backend needs of Podman, in plain types. The real one is client.go; every call is one request.
type engine interface {
	// pods of an owner with their containers, in two requests.
	pods(ctx context.Context, owner string) ([]podInfo, error)
	// tests are the pods, and their volumes, that try out changed configuration, whoever they do so for.
	tests(ctx context.Context) ([]podInfo, []volumeInfo, error)
	// podNamed returns the pod of exactly this name, whoever owns it, and whether it exists.
	podNamed(ctx context.Context, name string) (podInfo, bool, error)
	// network of a pod, from its infra container.
	network(ctx context.Context, infraID string) (podNetwork, error)
	// connect joins a pod's infra container to a network, as its endpoint there says.
	connect(ctx context.Context, network, infraID string, e endpoint) error
	// disconnect takes it off a network; it is no error if it was not on it.
	disconnect(ctx context.Context, network, infraID string) error
	// play runs one pod. An error from a container's start comes as playError.
	play(ctx context.Context, p playRequest) error
	restartPod(ctx context.Context, id string) error
	removePod(ctx context.Context, id string, grace time.Duration) error
	startContainer(ctx context.Context, id string) error
	restartContainer(ctx context.Context, id string) error
	// signal the first process of a container.
	signal(ctx context.Context, id, name string) error
	// setRestart changes whether Podman itself starts a container again that ended.
	setRestart(ctx context.Context, id string, policy restartPolicy) error
	// details of a container that no list shows.
	details(ctx context.Context, id string) (containerDetails, error)
	// wait for a container to end and return its exit code.
	wait(ctx context.Context, id string) (int32, error)

	volumes(ctx context.Context, owner string) ([]volumeInfo, error)
	volumeNamed(ctx context.Context, name string) (volumeInfo, bool, error)
	createVolume(ctx context.Context, v volumeInfo) error
	// fillVolume writes the files of a tar archive into a volume, each as a new file in place of one of its name.
	fillVolume(ctx context.Context, name string, archive io.Reader) error
	removeVolume(ctx context.Context, name string) error

	networks(ctx context.Context, owner string) ([]networkInfo, error)
	networkNamed(ctx context.Context, name string) (networkInfo, bool, error)
	createNetwork(ctx context.Context, n networkInfo) error
	removeNetwork(ctx context.Context, name string) error

	// image of a reference; the zero value when it is not there.
	image(ctx context.Context, ref string) (imageInfo, error)
	pullImage(ctx context.Context, ref string) error

	logs(ctx context.Context, container string, o logRequest, out io.Writer) error
	exec(ctx context.Context, container string, e execRequest) (int, error)

	// place is how and where Podman runs.
	place(ctx context.Context) (place, error)

	// events streams until ctx ends or the connection breaks; send is called for each.
	events(ctx context.Context, ready func(), send func(event)) error
}

// errBusy is returned by removals of what is still in use.
var errBusy = errors.New("still in use")

// place is how and where Podman runs.
type place struct {
	// rootless tells whether it runs as an ordinary user.
	rootless bool
	// storage is the folder of all its storage, and driver the one whose containers are there.
	storage, driver string
	// prefixes tells whether it puts a pod's name before those of its containers all the same, as it does before 5.7.
	prefixes bool
	// imports tells whether it writes an archive into a volume, as it does from 5.6 on.
	imports bool
}

// playError is what a container said when it was started: Podman answers 200 all the same.
type playError struct{ message string }

func (e *playError) Error() string { return e.message }

type podInfo struct {
	id, name   string
	status     string
	created    time.Time
	labels     map[string]string
	infra      containerInfo
	containers []containerInfo
}

type containerInfo struct {
	id, name string
	state    string
	image    string
	imageID  string
	labels   map[string]string
	started  time.Time
	exited   time.Time
	exitCode int32
	restarts int32
	// pid of its first process; 0 while it does not run.
	pid int
}

// restartPolicy of Podman for one container.
type restartPolicy string

const (
	restartAlways restartPolicy = "always"
	restartNever  restartPolicy = "no"
	// restartOnce has Podman start a container again that failed, unless it has already done so since it was started by
	// somebody else: on-failure with one retry.
	restartOnce restartPolicy = "on-failure"
)

// containerDetails are what inspecting a container tells beside the list.
type containerDetails struct {
	oomKilled bool
	// memory limit in bytes; 0 for none.
	memory int64
	// stopSignal asks the program to end, by name.
	stopSignal string
}

// podNetwork is where a pod is on the node's networks.
type podNetwork struct {
	// netns is the path of its network namespace.
	netns string
	// byNet has its endpoints by Podman network.
	byNet map[string]endpoint
}

// endpoint of a pod on a network.
type endpoint struct {
	addr netip.Addr
	mac  string
	// routed tells whether the network has a way out.
	routed bool
}

type volumeInfo struct {
	name   string
	labels map[string]string
	// path of its files, of one that is there.
	path string
	// user that a new volume belongs to; nil for whoever mounts it first.
	user *user
}

// user of a container, in numbers.
type user struct{ uid, gid int }

type imageInfo struct {
	id string
	// user that its containers run as, as the image has it: UID, UID:GID, a name, or nothing for root.
	user string
}

type networkInfo struct {
	name     string
	subnet   netip.Prefix
	internal bool
	// bridge is the interface on the node.
	bridge string
	// dns tells whether Podman's own name server serves the network, which those made here never have.
	dns    bool
	labels map[string]string
}

type playRequest struct {
	// document is a YAML stream: the ConfigMaps of the call and one Pod.
	document []byte
	// networks by name, in order; Podman's own default if there are none.
	networks []string
}

type logRequest struct {
	follow, timestamps bool
	tail               int
}

type execRequest struct {
	command        []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// event is a change of one of Podman's objects.
type event struct {
	kind   string // container, pod, volume, network
	action string
	id     string
	name   string
	labels map[string]string
}
