package podman

import (
	"context"
	"fmt"
	"io"

	"github.com/containers/podman/v5/pkg/bindings/volumes"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
)

func (c *client) volumes(ctx context.Context, owner string) ([]volumeInfo, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return nil, err
	}
	list, err := volumes.List(ctx, &volumes.ListOptions{Filters: byOwner(owner)})
	if err != nil {
		return nil, fmt.Errorf("listing volumes: %w", err)
	}
	found := make([]volumeInfo, 0, len(list))
	for _, v := range list {
		found = append(found, volumeInfo{name: v.Name, labels: v.Labels})
	}
	return found, nil
}

func (c *client) volumeNamed(ctx context.Context, name string) (volumeInfo, bool, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return volumeInfo{}, false, err
	}
	v, err := volumes.Inspect(ctx, name, nil)
	if notFound(err) || err == nil && v.Name != name { // Podman also finds the beginning of a name
		return volumeInfo{}, false, nil
	}
	if err != nil {
		return volumeInfo{}, false, fmt.Errorf("inspecting volume %s: %w", name, err)
	}
	return volumeInfo{name: v.Name, labels: v.Labels, path: v.Mountpoint}, true, nil
}

func (c *client) createVolume(ctx context.Context, v volumeInfo) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	o := types.VolumeCreateOptions{Name: v.name, Labels: v.labels}
	if v.user != nil {
		o.UID, o.GID = &v.user.uid, &v.user.gid
	}
	if _, err := volumes.Create(ctx, o, nil); err != nil {
		return fmt.Errorf("creating volume %s: %w", v.name, err)
	}
	return nil
}

func (c *client) fillVolume(ctx context.Context, name string, archive io.Reader) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	where, err := c.place(ctx)
	if err != nil {
		return err
	}
	if !where.imports {
		return c.fillThrough(ctx, name, archive)
	}
	if err := volumes.Import(ctx, name, archive); err != nil {
		return fmt.Errorf("writing into volume %s: %w", name, err)
	}
	return nil
}

func (c *client) removeVolume(ctx context.Context, name string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	where, err := c.place(ctx)
	if err != nil {
		return err
	}
	err = volumes.Remove(ctx, name, nil)
	if inUse(err) && !where.imports && removeFiller(ctx, name) == nil {
		err = volumes.Remove(ctx, name, nil)
	}
	switch {
	case err == nil || notFound(err):
		return nil
	case inUse(err):
		return errBusy
	}
	return fmt.Errorf("removing volume %s: %w", name, err)
}
