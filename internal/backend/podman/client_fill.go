package podman

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/specgen"
)

// fillerOf is the name of the container through which a volume is written to, by a Podman before 5.6, which has no other way:
// the containers that mount it may only read. It is never started.
func fillerOf(volume string) string { return volume + ".filler" }

// fillThrough writes an archive into a volume through a container that is made of the image of one that mounts it.
func (c *client) fillThrough(ctx context.Context, volume string, archive io.Reader) (err error) {
	all := true
	users, err := containers.List(ctx, &containers.ListOptions{All: &all, Filters: map[string][]string{"volume": {volume}}})
	if err != nil {
		return fmt.Errorf("looking who mounts volume %s: %w", volume, err)
	}
	if len(users) == 0 {
		return fmt.Errorf("writing into volume %s: nobody mounts it", volume)
	}
	if err := removeFiller(ctx, volume); err != nil { // of a process that died
		return err
	}
	const at = "/volume"
	spec := specgen.NewSpecGenerator(users[0].ImageID, false)
	spec.Name = fillerOf(volume)
	spec.Volumes = []*specgen.NamedVolume{{Name: volume, Dest: at}}
	if _, err := containers.CreateWithSpec(ctx, spec, nil); err != nil {
		return fmt.Errorf("making a container to write into volume %s: %w", volume, err)
	}
	defer func() { err = errors.Join(err, removeFiller(ctx, volume)) }()
	copyTo, err := containers.CopyFromArchive(ctx, fillerOf(volume), at, archive)
	if err == nil {
		err = copyTo()
	}
	if err != nil {
		return fmt.Errorf("writing into volume %s: %w", volume, err)
	}
	return nil
}

// removeFiller of a volume, if there is one.
func removeFiller(ctx context.Context, volume string) error {
	force := true
	if _, err := containers.Remove(ctx, fillerOf(volume), &containers.RemoveOptions{Force: &force, Ignore: &force}); err != nil && !notFound(err) {
		return fmt.Errorf("removing what wrote into volume %s: %w", volume, err)
	}
	return nil
}
