package podman

import (
	"context"
	"fmt"

	"github.com/containers/podman/v5/pkg/bindings/images"
)

func (c *client) image(ctx context.Context, ref string) (imageInfo, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return imageInfo{}, err
	}
	report, err := images.GetImage(ctx, ref, nil)
	if notFound(err) {
		return imageInfo{}, nil
	}
	if err != nil {
		return imageInfo{}, fmt.Errorf("looking for image %s: %w", ref, err)
	}
	return imageInfo{id: report.ID, user: report.User}, nil
}

func (c *client) pullImage(ctx context.Context, ref string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	_, err = images.Pull(ctx, ref, &images.PullOptions{Quiet: ptr(true)})
	return err
}
