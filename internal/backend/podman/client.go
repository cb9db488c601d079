package podman

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/containers/podman/v5/pkg/bindings"
	"github.com/containers/podman/v5/pkg/bindings/system"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
	"github.com/containers/podman/v5/pkg/errorhandling"

	"mockup.dev/mockup/manifests"
)

// client is the engine that Podman's own bindings reach through its socket. Only it uses the bindings.
type client struct {
	uri string

	mu     sync.Mutex
	opened context.Context

	asking sync.Mutex
	where  place
}

// connected is a caller's context that also carries the connection, as the bindings want it.
type connected struct {
	context.Context
	connection context.Context
}

func (c connected) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.connection.Value(key)
}

// connection returns ctx with the connection in it. The first call checks that the server speaks a usable version.
func (c *client) connection(ctx context.Context) (context.Context, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened == nil {
		connection, err := bindings.NewConnection(context.WithoutCancel(ctx), c.uri)
		if err != nil {
			return nil, fmt.Errorf("connecting to Podman at %s: %w", c.uri, err)
		}
		c.opened = connection
	}
	return connected{ctx, c.opened}, nil
}

func ptr[T any](v T) *T { return &v }

// notFound tells whether Podman answered that the object does not exist.
func notFound(err error) bool {
	var model *errorhandling.ErrorModel
	return errors.As(err, &model) && model.ResponseCode == http.StatusNotFound
}

// inUse tells whether Podman refused to remove an object because something uses it.
func inUse(err error) bool {
	var model *errorhandling.ErrorModel
	return errors.As(err, &model) && (model.ResponseCode == http.StatusConflict || strings.Contains(model.Message, "being used"))
}

func byOwner(owner string) map[string][]string {
	if owner == "" {
		return map[string][]string{"label": {manifests.LabelOwner}}
	}
	return map[string][]string{"label": {manifests.LabelOwner + "=" + owner}}
}

// place is asked for once: Podman takes half a second to look at all that it says with it.
func (c *client) place(ctx context.Context) (place, error) {
	c.asking.Lock()
	defer c.asking.Unlock()
	if c.where != (place{}) {
		return c.where, nil
	}
	ctx, err := c.connection(ctx)
	if err != nil {
		return place{}, err
	}
	info, err := system.Info(ctx, nil)
	if err != nil {
		return place{}, fmt.Errorf("asking Podman about its host: %w", err)
	}
	if info.Store == nil || info.Host == nil || info.Store.GraphRoot == "" {
		return place{}, errors.New("asking Podman about its host: it does not say where its storage is")
	}
	c.where = place{
		rootless: info.Host.Security.Rootless, storage: info.Store.GraphRoot, driver: info.Store.GraphDriverName,
		prefixes: before(info.Version.Version, 5, 7), imports: !before(info.Version.Version, 5, 6),
	}
	return c.where, nil
}

func (c *client) events(ctx context.Context, ready func(), send func(event)) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	stream := make(chan types.Event)
	if err := system.Events(ctx, stream, nil, &system.EventsOptions{Stream: ptr(true)}); err != nil {
		return fmt.Errorf("subscribing to events: %w", err)
	}
	ready()
	for e := range stream {
		send(event{kind: string(e.Type), action: string(e.Action), id: e.Actor.ID, name: e.Actor.Attributes["name"], labels: e.Actor.Attributes})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.New("the stream of events ended")
}
