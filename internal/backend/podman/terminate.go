package podman

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mockup.dev/mockup/internal/pidfd"
)

// terminate has the programs of a pod end by themselves within the grace, and returns what of it Podman has yet to give
// them. Podman sends the same signals, but holds the pod while it waits (libpod/runtime_pod_common.go,
// removeContainerGraph), and every list of pods waits with it: one slow program would keep everybody's from being seen.
//
// Their ends are seen in the kernel and not by Podman, which takes a pod down when the last of its containers has ended,
// slowly on cgroup v1. Whoever removes the pod at once comes before that.
func (b *Backend) terminate(ctx context.Context, pod podInfo, grace time.Duration) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	end := time.Now().Add(grace)
	failures := make([]error, len(pod.containers))
	var all sync.WaitGroup
	for i, c := range pod.containers {
		if c.state == "running" {
			all.Go(func() { failures[i] = b.terminateContainer(ctx, c) })
		}
	}
	all.Wait()
	if err := errors.Join(failures...); err != nil && ctx.Err() == nil {
		b.log.Info("Podman is left to end a pod", "pod", pod.name, "reason", err.Error())
		return time.Until(end)
	}
	return 0
}

// terminateContainer sends the signal that ends the program, and waits for that as long as ctx lasts. Podman does not start
// again what it has sent a signal to (libpod/container_api.go, Kill).
func (b *Backend) terminateContainer(ctx context.Context, c containerInfo) error {
	program, err := pidfd.Open(c.pid)
	if err != nil {
		return err
	}
	defer program.Close()
	d, err := b.engine.details(ctx, c.id)
	if err != nil {
		return err
	}
	if err := b.engine.signal(ctx, c.id, d.stopSignal); err != nil {
		return err
	}
	if err := program.Wait(ctx); err != nil {
		return fmt.Errorf("container %s: %w", c.name, err)
	}
	return nil
}
