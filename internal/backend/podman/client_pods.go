package podman

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/bindings/kube"
	"github.com/containers/podman/v5/pkg/bindings/pods"
	"github.com/containers/podman/v5/pkg/bindings/volumes"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
)

func (c *client) pods(ctx context.Context, owner string) ([]podInfo, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return nil, err
	}
	list, err := pods.List(ctx, &pods.ListOptions{Filters: byOwner(owner)})
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	ctrs, err := containers.List(ctx, &containers.ListOptions{All: ptr(true), Filters: byOwner(owner)})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	known := make(map[string]containerInfo, len(ctrs))
	for _, ctr := range ctrs {
		known[ctr.ID] = containerOf(ctr)
	}
	found := make([]podInfo, 0, len(list))
	for _, p := range list {
		found = append(found, podOf(p, known))
	}
	return found, nil
}

func containerOf(c types.ListContainer) containerInfo {
	info := containerInfo{
		id: c.ID, state: c.State, image: c.Image, imageID: c.ImageID, labels: c.Labels,
		started: time.Unix(c.StartedAt, 0), exited: time.Unix(c.ExitedAt, 0), exitCode: c.ExitCode, restarts: int32(c.Restarts),
		pid: c.Pid,
	}
	if len(c.Names) > 0 {
		info.name = c.Names[0]
	}
	return info
}

func podOf(p *types.ListPodsReport, known map[string]containerInfo) podInfo {
	info := podInfo{id: p.Id, name: p.Name, status: p.Status, created: p.Created, labels: p.Labels}
	for _, c := range p.Containers {
		ctr, ok := known[c.Id]
		if !ok {
			ctr = containerInfo{id: c.Id, name: c.Names, state: c.Status}
		}
		if c.Id == p.InfraId || isInfraOf(p.Id, c.Names) {
			info.infra = ctr
		} else {
			info.containers = append(info.containers, ctr)
		}
	}
	return info
}

// isInfraOf tells whether a container has the name that Podman gives to the infra container of a pod
// (pkg/specgen/generate/pod_create.go:78): a pod that is being made is listed before it knows which of its containers that is.
func isInfraOf(pod, container string) bool { return len(pod) > 12 && container == pod[:12]+"-infra" }

func (c *client) tests(ctx context.Context) ([]podInfo, []volumeInfo, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return nil, nil, err
	}
	filters := map[string][]string{"label": {labelTestOf}}
	list, err := pods.List(ctx, &pods.ListOptions{Filters: filters})
	if err != nil {
		return nil, nil, fmt.Errorf("listing the pods that test configuration: %w", err)
	}
	var found []podInfo
	for _, p := range list {
		found = append(found, podOf(p, nil))
	}
	theirs, err := volumes.List(ctx, &volumes.ListOptions{Filters: filters})
	if err != nil {
		return nil, nil, fmt.Errorf("listing the volumes of tests of configuration: %w", err)
	}
	var files []volumeInfo
	for _, v := range theirs {
		files = append(files, volumeInfo{name: v.Name, labels: v.Labels})
	}
	return found, files, nil
}

func (c *client) podNamed(ctx context.Context, name string) (podInfo, bool, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return podInfo{}, false, err
	}
	// The name filter is a regular expression; inspect and exists would match an ID's beginning too.
	list, err := pods.List(ctx, &pods.ListOptions{Filters: map[string][]string{"name": {"^" + name + "$"}}})
	if err != nil {
		return podInfo{}, false, fmt.Errorf("looking for pod %s: %w", name, err)
	}
	for _, p := range list {
		if p.Name == name {
			return podOf(p, nil), true, nil
		}
	}
	return podInfo{}, false, nil
}

func (c *client) play(ctx context.Context, p playRequest) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	o := &kube.PlayOptions{NoPodPrefix: ptr(true), Quiet: ptr(true), LogDriver: ptr(logDriver), LogOptions: ptr(logOptions())}
	if len(p.networks) > 0 {
		o.Network = &p.networks
	}
	report, err := kube.PlayWithBody(ctx, bytes.NewReader(p.document), o)
	if err != nil {
		return err
	}
	// Containers that fail to start are in the report of a successful call.
	var failures []string
	for _, pod := range report.Pods {
		failures = append(failures, pod.ContainerErrors...)
	}
	if len(failures) > 0 {
		return &playError{strings.Join(failures, "; ")}
	}
	return nil
}

func (c *client) restartPod(ctx context.Context, id string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	report, err := pods.Restart(ctx, id, nil)
	if err != nil {
		return fmt.Errorf("restarting pod %.12s: %w", id, err)
	}
	return errors.Join(report.Errs...)
}

func (c *client) removePod(ctx context.Context, id string, grace time.Duration) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	_, err = pods.Remove(ctx, id, &pods.RemoveOptions{Force: ptr(true), Timeout: ptr(uint(grace.Seconds()))})
	if err != nil && !notFound(err) {
		return fmt.Errorf("removing pod %.12s: %w", id, err)
	}
	return nil
}
