package podman

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mockup.dev/mockup/manifests"
)

// quick actions are done within a pass.
func (a action) quick() bool {
	return a == createNetwork || a == removeNetwork || a == createVolume || a == removeVolume
}

// takeQuick takes the quick steps and tells whether there were any.
func (b *Backend) takeQuick(ctx context.Context, owner manifests.Owner, steps []step) (any bool, err error) {
	for _, s := range steps {
		if !s.action.quick() {
			continue
		}
		any = true
		b.log.Info(s.String(), "owner", owner.String())
		switch s.action {
		case createNetwork:
			err = b.quick(s.network.name, b.createNetwork(ctx, s.network))
		case removeNetwork:
			err = b.quick(s.network.name, b.retried(owner, b.engine.removeNetwork(ctx, s.network.name)))
		case createVolume:
			err = b.quick(s.volume.name, b.createVolume(ctx, s.volume))
		case removeVolume:
			err = b.quick(s.volume.name, b.engine.removeVolume(ctx, s.volume.name))
		}
		if err != nil {
			return any, err
		}
	}
	return any, nil
}

// busyPause is how long what is still in use is left alone. Nobody tells when it is free.
const busyPause = time.Second

// retried has the owner looked at again soon if something could not be removed yet.
func (b *Backend) retried(owner manifests.Owner, err error) error {
	if errors.Is(err, errBusy) {
		time.AfterFunc(busyPause, func() { b.changes.add(owner) })
	}
	return err
}

// quick turns the failure of one object into its state; only an engine that can't be reached is an error of the whole.
func (b *Backend) quick(name string, err error) error {
	if err == nil || errors.Is(err, errBusy) {
		b.tasks.clear(name)
		return nil
	}
	if unreachable(err) {
		return err
	}
	b.tasks.fail(name, "", err)
	return nil
}

func (b *Backend) createNetwork(ctx context.Context, n networkInfo) error {
	if other, there, err := b.engine.networkNamed(ctx, n.name); err != nil {
		return err
	} else if there {
		return &takenError{what: "network " + n.name, labels: other.labels}
	}
	return b.engine.createNetwork(ctx, n)
}

func (b *Backend) createVolume(ctx context.Context, v volumeInfo) error {
	if other, there, err := b.engine.volumeNamed(ctx, v.name); err != nil {
		return err
	} else if there {
		return &takenError{what: "volume " + v.name, labels: other.labels}
	}
	return b.engine.createVolume(ctx, v)
}

// podStep is the body of a task.
func (b *Backend) podStep(ctx context.Context, owner manifests.Owner, s step) error {
	b.log.Info(s.String(), "owner", owner.String())
	switch s.action {
	case playPod:
		return b.play(ctx, owner, s.want)
	case replacePod:
		return b.replace(ctx, owner, s)
	case restartPod:
		if b.startedSince(ctx, owner, s.pod) {
			return nil
		}
		return b.restart(ctx, owner, s.pod)
	case startContainer:
		if b.startedSince(ctx, owner, s.pod) {
			return nil
		}
		// The next end is not Podman's to mend: see life.
		if err := b.hold(ctx, owner, s.id, restartNever); err != nil {
			return err
		}
		if err := b.engine.startContainer(ctx, s.id); err != nil {
			return err
		}
		b.begun(owner, s.pod, s.id)
		return nil
	case holdContainer:
		return b.hold(ctx, owner, s.id, restartOnce)
	case releaseContainer:
		return b.hold(ctx, owner, s.id, restartAlways)
	case joinNetworks:
		return b.join(ctx, s, false)
	case openPorts:
		b.doors.opened(s.pod.id)
		return b.join(ctx, s, true)
	case reloadPod:
		return b.noteRejected(owner, s.want, b.take(ctx, owner, s))
	case removePod:
		return b.retire(ctx, s.pod)
	}
	return fmt.Errorf("step %s is not one of a pod", s)
}

// startedSince tells whether Podman has started a container of the pod since it was seen: then it is to be looked at again,
// lest its program is started twice for one end.
func (b *Backend) startedSince(ctx context.Context, owner manifests.Owner, pod podInfo) bool {
	all, err := b.engine.pods(ctx, owner.String())
	if err != nil {
		return false // what follows says what is wrong
	}
	for _, now := range all {
		for _, c := range now.containers {
			for _, before := range pod.containers {
				if c.id == before.id && (c.restarts != before.restarts || !c.started.Equal(before.started)) {
					return true
				}
			}
		}
	}
	return false
}

// replace ends a pod and plays another in its place. What it can't be played for is found out before.
func (b *Backend) replace(ctx context.Context, owner manifests.Owner, s step) error {
	if s.pod.workload() != (manifests.Ref{}) { // a program that serves is not ended for a configuration that it refuses
		if err := b.noteRejected(owner, s.want, b.tryOut(ctx, s.want)); err != nil {
			return err
		}
	}
	if err := b.retire(ctx, s.pod); err != nil {
		return err
	}
	return b.play(ctx, owner, s.want)
}

// restart starts a whole pod anew, with the restarts of containers that ended by themselves in our hands: this is the first
// of them, and Podman would add one of its own.
func (b *Backend) restart(ctx context.Context, owner manifests.Owner, pod podInfo) error {
	for _, c := range pod.containers {
		if c.stopped() && b.lifeOf(owner, c.id).crashes > 0 {
			if err := b.hold(ctx, owner, c.id, restartNever); err != nil {
				return err
			}
		}
	}
	if err := b.engine.restartPod(ctx, pod.id); err != nil {
		return err
	}
	b.mistrustNetwork(pod.infra.id) // Podman lists seconds, and the pod may have been started in this one before
	for _, c := range pod.containers {
		b.begun(owner, pod, c.id)
	}
	return nil
}

// begun notes that a container of a pod, as it was seen, was started from here.
func (b *Backend) begun(owner manifests.Owner, pod podInfo, id string) {
	m := b.memoryOf(owner)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range pod.containers {
		if c.id == id {
			m.lives[id] = m.lives[id].begin(c)
		}
	}
}

// hold takes the restarts of a container over from Podman, or gives them back.
func (b *Backend) hold(ctx context.Context, owner manifests.Owner, id string, policy restartPolicy) error {
	if err := b.engine.setRestart(ctx, id, policy); err != nil {
		return err
	}
	m := b.memoryOf(owner)
	b.mu.Lock()
	defer b.mu.Unlock()
	l := m.lives[id]
	l.held = policy != restartAlways
	if !l.held {
		l.crashes = 0
	}
	m.lives[id] = l
	return nil
}

// noteRejected remembers that a program refused its configuration.
func (b *Backend) noteRejected(owner manifests.Owner, want *wantedPod, err error) error {
	m := b.memoryOf(owner)
	b.mu.Lock()
	defer b.mu.Unlock()
	var rejected *rejectedError
	if errors.As(err, &rejected) {
		m.rejected[want.name] = *rejected
	} else {
		delete(m.rejected, want.name)
	}
	return err
}

// join gives a pod back the networks that it lost, under the addresses that it had there. Anew, it leaves the others and
// joins them again, too, which has Podman open its host ports; open connections live on.
func (b *Backend) join(ctx context.Context, s step, anew bool) error {
	known := b.networkOf(s.pod).byNet
	defer b.mistrustNetwork(s.pod.infra.id)
	now, err := b.engine.network(ctx, s.pod.infra.id)
	if err != nil {
		return err
	}
	for _, a := range s.want.attachments {
		_, on := now.byNet[a.network]
		if on && !anew {
			continue
		}
		if on {
			if err := b.engine.disconnect(ctx, a.network, s.pod.infra.id); err != nil {
				return err
			}
		}
		if err := b.engine.connect(ctx, a.network, s.pod.infra.id, known[a.network]); err != nil {
			return err
		}
	}
	return nil
}

// play plays one pod. What a failed play leaves behind is removed, so that the next one begins from nothing.
func (b *Backend) play(ctx context.Context, owner manifests.Owner, want *wantedPod) error {
	if other, there, err := b.engine.podNamed(ctx, want.name); err != nil {
		return err
	} else if there {
		return &takenError{what: "pod " + want.name, labels: other.labels}
	}
	volumes := want.volumes
	if want.reload != nil {
		volumes = append(volumes[:len(volumes):len(volumes)], want.loadedMarker(owner))
	}
	if err := b.makeVolumes(ctx, volumes); err != nil {
		return err
	}
	err := b.engine.play(ctx, want.request)
	if err == nil {
		return nil
	}
	if left, there, lookErr := b.engine.podNamed(ctx, want.name); lookErr == nil && there {
		err = errors.Join(&namedError{err, left}, b.engine.removePod(ctx, left.id, 0))
	}
	return fmt.Errorf("playing pod %s: %w", want.name, err)
}

// namedError is Podman's, which calls an init container that failed by its ID (libpod/pod_api.go, startInitContainers), in the
// words of the manifest. Whoever reads it can't ask what the ID was: the pod is gone by then.
type namedError struct {
	error
	pod podInfo
}

func (e *namedError) Unwrap() error { return e.error }

func (e *namedError) Error() string {
	text := e.error.Error()
	for _, c := range e.pod.containers {
		text = strings.ReplaceAll(text, c.id, manifestName(e.pod.name, c.name))
	}
	return text
}

// makeVolumes makes volumes anew: one of a pod of the same name that is gone may hold keys that are no longer wanted.
func (b *Backend) makeVolumes(ctx context.Context, volumes []volumeInfo) error {
	for _, v := range volumes {
		if err := b.engine.removeVolume(ctx, v.name); err != nil {
			return fmt.Errorf("clearing volume %s: %w", v.name, err)
		}
		if err := b.engine.createVolume(ctx, v); err != nil {
			return err
		}
	}
	return nil
}
