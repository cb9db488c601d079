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
	// podNamed returns the pod of exactly this name, whoever owns it, and whether it exists.
	podNamed(ctx context.Context, name string) (podInfo, bool, error)
	// endpoints of a pod by Podman network, from its infra container.
	endpoints(ctx context.Context, infraID string) (map[string]endpoint, error)
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

	volumes(ctx context.Context, owner string) ([]volumeInfo, error)
	volumeNamed(ctx context.Context, name string) (volumeInfo, bool, error)
	createVolume(ctx context.Context, v volumeInfo) error
	removeVolume(ctx context.Context, name string) error

	networks(ctx context.Context, owner string) ([]networkInfo, error)
	networkNamed(ctx context.Context, name string) (networkInfo, bool, error)
	createNetwork(ctx context.Context, n networkInfo) error
	removeNetwork(ctx context.Context, name string) error

	imageExists(ctx context.Context, ref string) (bool, error)
	pullImage(ctx context.Context, ref string) error

	logs(ctx context.Context, container string, o logRequest, out io.Writer) error
	exec(ctx context.Context, container string, e execRequest) (int, error)

	// events streams until ctx ends or the connection breaks; send is called for each.
	events(ctx context.Context, ready func(), send func(event)) error
}

// errBusy is returned by removals of what is still in use.
var errBusy = errors.New("still in use")

// playError is what a container said when it was started: Podman answers 200 all the same.
type playError struct{ message string }

func (e *playError) Error() string { return e.message }

type podInfo struct {
	id, name   string
	status     string
	labels     map[string]string
	infra      containerInfo
	containers []containerInfo
}

type containerInfo struct {
	id, name string
	state    string
	image    string
	labels   map[string]string
	started  time.Time
	exited   time.Time
	exitCode int32
	restarts int32
}

// endpoint of a pod on a network.
type endpoint struct {
	addr    netip.Addr
	mac     string
	aliases []string
}

type volumeInfo struct {
	name   string
	labels map[string]string
}

type networkInfo struct {
	name     string
	subnet   netip.Prefix
	internal bool
	labels   map[string]string
}

type playRequest struct {
	// document is a YAML stream: the ConfigMaps of the call and one Pod.
	document []byte
	// networks in Podman's own notation, name:ip=…,alias=….
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
