package podman

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// failing plays nothing, and leaves a pod behind as Podman does.
type failing struct {
	engine
	err     error
	left    podInfo
	played  bool
	removed string
}

func (f *failing) podNamed(context.Context, string) (podInfo, bool, error) {
	return f.left, f.played, nil
}

func (f *failing) play(context.Context, playRequest) error {
	f.played = true
	return f.err
}

func (f *failing) removePod(_ context.Context, id string, _ time.Duration) error {
	f.removed = id
	return nil
}

// Podman calls an init container that failed by its ID, which tells nobody anything when the pod is gone. Whether status named it
// depended on whether somebody looked meanwhile.
func TestInitContainersAreNamed(t *testing.T) {
	const id = "5f08401f9ed41dc24fda2954e24ac973e902e7eceb7b4556734068d50f62267d"
	said := errors.New("init container " + id + " exited with code 5")
	for _, name := range []string{"ns-web-0.prepare", "ns-web-0-ns-web-0.prepare"} { // as Podman has it from 5.7 on, and before
		f := &failing{err: said, left: podInfo{id: "half", name: "ns-web-0", containers: []containerInfo{{id: id, name: name}}}}
		b := &Backend{engine: f}
		err := b.play(t.Context(), stackOwner("ns", "web"), &wantedPod{name: "ns-web-0"})
		if err == nil || !strings.Contains(err.Error(), "init container prepare exited with code 5") {
			t.Errorf("%s: the error is %q", name, err)
		}
		if !errors.Is(err, said) {
			t.Errorf("%s: what Podman said can't be found in %#v", name, err)
		}
		if f.removed != "half" {
			t.Errorf("%s: the half-made pod stays", name)
		}
	}
}
