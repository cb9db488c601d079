package podman

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containers/podman/v5/pkg/api/handlers"
	"github.com/containers/podman/v5/pkg/bindings"
	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/bindings/images"
	"github.com/containers/podman/v5/pkg/bindings/kube"
	"github.com/containers/podman/v5/pkg/bindings/network"
	"github.com/containers/podman/v5/pkg/bindings/pods"
	"github.com/containers/podman/v5/pkg/bindings/system"
	"github.com/containers/podman/v5/pkg/bindings/volumes"
	"github.com/containers/podman/v5/pkg/domain/entities/types"
	"github.com/containers/podman/v5/pkg/errorhandling"
	dockercontainer "github.com/docker/docker/api/types/container"
	nettypes "go.podman.io/common/libnetwork/types"

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

func (c *client) network(ctx context.Context, infraID string) (podNetwork, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return podNetwork{}, err
	}
	data, err := containers.Inspect(ctx, infraID, nil)
	if err != nil {
		return podNetwork{}, fmt.Errorf("inspecting infra container %.12s: %w", infraID, err)
	}
	found := podNetwork{netns: namespaceOf(data.NetworkSettings.SandboxKey, data.State.Pid), byNet: map[string]endpoint{}}
	for name, n := range data.NetworkSettings.Networks {
		if addr, err := netip.ParseAddr(n.IPAddress); err == nil {
			_, noGateway := netip.ParseAddr(n.Gateway)
			found.byNet[name] = endpoint{addr: addr, mac: n.MacAddress, routed: noGateway == nil}
		}
	}
	return found, nil
}

// namespaceOf is the path of a pod's network namespace, whose first process is pid. A rootless Podman mounts the file in a
// mount namespace of its own; a node agent that was there before the first pod sees an empty file. The process is seen by
// all.
func namespaceOf(file string, pid int) string {
	if file == "" || pid == 0 || strings.HasPrefix(file, "/run/netns/") {
		return file
	}
	return fmt.Sprintf("/proc/%d/ns/net", pid)
}

func (c *client) connect(ctx context.Context, name, infraID string, e endpoint) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	o := &nettypes.PerNetworkOptions{}
	if e.addr.IsValid() {
		o.StaticIPs = []net.IP{e.addr.AsSlice()}
	}
	if mac, err := net.ParseMAC(e.mac); err == nil {
		o.StaticMAC = nettypes.HardwareAddr(mac)
	}
	if err := network.Connect(ctx, name, infraID, o); err != nil {
		return fmt.Errorf("connecting infra container %.12s to network %s: %w", infraID, name, err)
	}
	return nil
}

func (c *client) disconnect(ctx context.Context, name, infraID string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	err = network.Disconnect(ctx, name, infraID, nil)
	if err != nil && !strings.Contains(err.Error(), "is not connected to network") {
		return fmt.Errorf("disconnecting infra container %.12s from network %s: %w", infraID, name, err)
	}
	return nil
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

func (c *client) startContainer(ctx context.Context, id string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	if err := containers.Start(ctx, id, nil); err != nil {
		return fmt.Errorf("starting container %.12s: %w", id, err)
	}
	return nil
}

func (c *client) restartContainer(ctx context.Context, id string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	if err := containers.Restart(ctx, id, nil); err != nil {
		return fmt.Errorf("restarting container %.12s: %w", id, err)
	}
	return nil
}

func (c *client) signal(ctx context.Context, id, name string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	if err := containers.Kill(ctx, id, &containers.KillOptions{Signal: &name}); err != nil {
		return fmt.Errorf("sending %s to container %.12s: %w", name, id, err)
	}
	return nil
}

func (c *client) setRestart(ctx context.Context, id string, policy restartPolicy) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	o := &types.ContainerUpdateOptions{NameOrID: id, RestartPolicy: ptr(string(policy))}
	if policy == restartOnce {
		o.RestartRetries = ptr(uint(1))
	}
	_, failure := containers.Update(ctx, o)
	if failure == nil {
		return nil
	}
	// The policy is written down first; then the runtime is told about resources, which fails for a process that just ended.
	data, err := containers.Inspect(ctx, id, nil)
	if err == nil && data.HostConfig.RestartPolicy != nil && data.HostConfig.RestartPolicy.Name == string(policy) {
		return nil
	}
	return fmt.Errorf("setting the restart policy of container %.12s to %s: %w", id, policy, failure)
}

func (c *client) details(ctx context.Context, id string) (containerDetails, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return containerDetails{}, err
	}
	data, err := containers.Inspect(ctx, id, nil)
	if err != nil {
		return containerDetails{}, fmt.Errorf("inspecting container %.12s: %w", id, err)
	}
	return containerDetails{oomKilled: data.State.OOMKilled, memory: data.HostConfig.Memory, stopSignal: data.Config.StopSignal}, nil
}

func (c *client) wait(ctx context.Context, id string) (int32, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return 0, err
	}
	code, err := containers.Wait(ctx, id, &containers.WaitOptions{Conditions: []string{"exited"}})
	if err != nil {
		return 0, fmt.Errorf("waiting for container %.12s: %w", id, err)
	}
	return code, nil
}

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

func (c *client) networks(ctx context.Context, owner string) ([]networkInfo, error) {
	return c.listNetworks(ctx, byOwner(owner))
}

func (c *client) networkNamed(ctx context.Context, name string) (networkInfo, bool, error) {
	list, err := c.listNetworks(ctx, map[string][]string{"name": {"^" + name + "$"}})
	for _, n := range list {
		if n.name == name {
			return n, true, err
		}
	}
	return networkInfo{}, false, err
}

func (c *client) listNetworks(ctx context.Context, filters map[string][]string) ([]networkInfo, error) {
	ctx, err := c.connection(ctx)
	if err != nil {
		return nil, err
	}
	list, err := network.List(ctx, &network.ListOptions{Filters: filters})
	if err != nil {
		return nil, fmt.Errorf("listing networks: %w", err)
	}
	found := make([]networkInfo, 0, len(list))
	for _, n := range list {
		info := networkInfo{name: n.Name, internal: n.Internal, bridge: n.NetworkInterface, dns: n.DNSEnabled, labels: n.Labels}
		for _, s := range n.Subnets {
			if p, err := netip.ParsePrefix(s.Subnet.String()); err == nil {
				info.subnet = p
			}
		}
		found = append(found, info)
	}
	return found, nil
}

func (c *client) createNetwork(ctx context.Context, n networkInfo) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	subnet, err := nettypes.ParseCIDR(n.subnet.String())
	if err != nil {
		return fmt.Errorf("subnet %s of network %s: %w", n.subnet, n.name, err)
	}
	first, last := dynamicRange(n.subnet)
	_, err = network.Create(ctx, &nettypes.Network{
		Name: n.name, Driver: "bridge", Internal: n.internal, Labels: n.labels,
		Subnets: []nettypes.Subnet{{Subnet: subnet, LeaseRange: &nettypes.LeaseRange{StartIP: net.IP(first.AsSlice()), EndIP: net.IP(last.AsSlice())}}},
		// Two bridge networks of one host route to each other unless both are isolated.
		Options: map[string]string{"isolate": "true"},
	})
	if err != nil {
		return fmt.Errorf("creating network %s with subnet %s: %w", n.name, n.subnet, err)
	}
	return nil
}

func (c *client) removeNetwork(ctx context.Context, name string) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	_, err = network.Remove(ctx, name, nil)
	switch {
	case err == nil || notFound(err):
		return nil
	case inUse(err):
		return errBusy
	}
	return fmt.Errorf("removing network %s: %w", name, err)
}

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

func (c *client) logs(ctx context.Context, container string, o logRequest, out io.Writer) error {
	ctx, err := c.connection(ctx)
	if err != nil {
		return err
	}
	options := &containers.LogOptions{Stdout: ptr(true), Stderr: ptr(true), Follow: ptr(o.follow), Timestamps: ptr(o.timestamps)}
	if o.tail > 0 {
		options.Tail = ptr(strconv.Itoa(o.tail))
	}
	lines := make(chan string)
	done := make(chan error, 1)
	go func() { done <- containers.Logs(ctx, container, options, lines, lines) }()
	var broken error
	for {
		select {
		case line := <-lines:
			if broken == nil {
				_, broken = io.WriteString(out, line)
			}
		case err := <-done:
			return errors.Join(broken, err)
		case <-ctx.Done():
			go discard(lines, done)
			return ctx.Err()
		}
	}
}

// discard takes what the bindings still hand over: they stop only between two frames.
func discard(lines <-chan string, done <-chan error) {
	for {
		select {
		case <-lines:
		case <-done: //nolint:errcheck // of no interest to a caller who has gone
			return
		}
	}
}

// exec runs a command, and ends it with ctx: an attached session does not end by that itself, and is left to end behind.
func (c *client) exec(ctx context.Context, container string, e execRequest) (int, error) {
	type result struct {
		code int
		err  error
	}
	done := make(chan result, 1)
	go func() {
		code, err := c.session(ctx, container, e)
		done <- result{code, err}
	}()
	select {
	case r := <-done:
		return r.code, r.err
	case <-ctx.Done():
		return -1, fmt.Errorf("running %q: %w", e.command[0], ctx.Err())
	}
}

// session has a connection of its own: to attach, the bindings replace the transport of the one they are given (attach.go,
// newUpgradeRequest), which is a race with its other users and leaves its open connections to nobody.
func (c *client) session(ctx context.Context, container string, e execRequest) (int, error) {
	opened, err := bindings.NewConnection(ctx, c.uri)
	if err != nil {
		return -1, fmt.Errorf("connecting to Podman at %s: %w", c.uri, err)
	}
	conn, err := bindings.GetClient(opened)
	if err != nil {
		return -1, err
	}
	first := *conn.Client
	defer func() {
		first.CloseIdleConnections()
		conn.Client.CloseIdleConnections()
	}()
	return runSession(opened, container, e)
}

// runSession makes an exec session, attaches to it and returns its exit code.
func runSession(ctx context.Context, container string, e execRequest) (int, error) {
	config := &handlers.ExecCreateConfig{ExecOptions: dockercontainer.ExecOptions{
		Cmd: e.command, AttachStdin: e.stdin != nil, AttachStdout: true, AttachStderr: true,
	}}
	session, err := containers.ExecCreate(ctx, container, config)
	if err != nil {
		return -1, fmt.Errorf("preparing to run %q: %w", e.command[0], err)
	}
	o := new(containers.ExecStartAndAttachOptions).
		WithOutputStream(e.stdout).WithAttachOutput(true).WithErrorStream(e.stderr).WithAttachError(true)
	if e.stdin != nil {
		o = o.WithInputStream(*bufio.NewReader(e.stdin)).WithAttachInput(true)
	}
	// Podman keeps a session for five minutes, and takes seconds to remove a container that still has some. Removed by
	// force, what still runs is ended.
	remove := sync.OnceFunc(func() {
		_ = containers.ExecRemove(context.WithoutCancel(ctx), session, &containers.ExecRemoveOptions{Force: ptr(true)})
	})
	defer context.AfterFunc(ctx, remove)()
	defer remove()
	if err := containers.ExecStartAndAttach(ctx, session, o); err != nil {
		return -1, fmt.Errorf("running %q: %w", e.command[0], err)
	}
	report, err := containers.ExecInspect(ctx, session, nil)
	if err != nil {
		return -1, fmt.Errorf("asking for the exit code of %q: %w", e.command[0], err)
	}
	return report.ExitCode, nil
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
