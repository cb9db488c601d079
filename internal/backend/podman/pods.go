package podman

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"

	"mockup.dev/mockup/internal/backend"
)

// Pods implements backend.Backend.
func (b *Backend) Pods() backend.Pods { return podAccess{b} }

// podAccess looks inside pods.
type podAccess struct{ *Backend }

// find returns a pod of its owner, and the container asked for or the first.
func (a podAccess) find(ctx context.Context, ref backend.PodRef, container string) (podInfo, containerInfo, error) {
	pods, err := a.engine.pods(ctx, ref.Owner.String())
	if err != nil {
		return podInfo{}, containerInfo{}, err
	}
	i := slices.IndexFunc(pods, func(p podInfo) bool { return p.name == ref.Pod })
	if i < 0 {
		return podInfo{}, containerInfo{}, fmt.Errorf("%s has no pod %q", ref.Owner, ref.Pod)
	}
	pod := pods[i]
	for _, c := range pod.containers {
		if container == "" || manifestName(pod.name, c.name) == container {
			return pod, c, nil
		}
	}
	return pod, containerInfo{}, fmt.Errorf("pod %s has no container %q", ref.Pod, container)
}

// Logs implements backend.Pods.
func (a podAccess) Logs(ctx context.Context, ref backend.PodRef, o backend.LogOptions) (io.ReadCloser, error) {
	_, c, err := a.find(ctx, ref, o.Container)
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		err := a.engine.logs(ctx, c.id, logRequest{follow: o.Follow, timestamps: o.Timestamps, tail: o.Tail}, w)
		_ = w.CloseWithError(err) // never fails
	}()
	return logReader{r, cancel}, nil
}

// logReader ends the request when it is closed.
type logReader struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (r logReader) Close() error {
	r.cancel()
	return r.PipeReader.Close()
}

// Exec implements backend.Pods.
func (a podAccess) Exec(ctx context.Context, ref backend.PodRef, e backend.ExecRequest) (int, error) {
	if len(e.Command) == 0 {
		return -1, fmt.Errorf("no command to run in pod %s", ref.Pod)
	}
	_, c, err := a.find(ctx, ref, e.Container)
	if err != nil {
		return -1, err
	}
	request := execRequest{command: e.Command, stdin: e.Stdin, stdout: e.Stdout, stderr: e.Stderr}
	if request.stdout == nil {
		request.stdout = io.Discard
	}
	if request.stderr == nil {
		request.stderr = io.Discard
	}
	return a.engine.exec(ctx, c.id, request)
}

// Dial implements backend.Pods. The node reaches every network of its pods.
func (a podAccess) Dial(ctx context.Context, ref backend.PodRef, port int) (net.Conn, error) {
	pod, _, err := a.find(ctx, ref, "")
	if err != nil {
		return nil, err
	}
	found, err := a.engine.network(ctx, pod.infra.id)
	if err != nil {
		return nil, err
	}
	addr := anyAddress(found.byNet)
	if !addr.IsValid() {
		return nil, fmt.Errorf("pod %s has no address", ref.Pod)
	}
	return a.prober.dial(ctx, net.JoinHostPort(addr.String(), strconv.Itoa(port)))
}
