package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// Pods looks inside pods through the API server, as kubectl does.
func (b *Backend) Pods() backend.Pods { return pods{b} }

type pods struct{ *Backend }

// find a pod of an owner, and the container meant.
func (p pods) find(ctx context.Context, ref backend.PodRef, container string) (*corev1.Pod, string, error) {
	pod, err := p.cluster.CoreV1().Pods(ref.Owner.Namespace).Get(ctx, ref.Pod, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && pod.Labels[manifests.LabelOwner] != ref.Owner.String() {
		return nil, "", fmt.Errorf("%s has no pod %s", ref.Owner, ref.Pod)
	}
	if err != nil {
		return nil, "", fmt.Errorf("looking for pod %s of %s: %w", ref.Pod, ref.Owner, err)
	}
	if container == "" {
		container = pod.Spec.Containers[0].Name
	}
	all := slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers)
	if !slices.ContainsFunc(all, func(c corev1.Container) bool { return c.Name == container }) {
		return nil, "", fmt.Errorf("pod %s of %s has no container %s", ref.Pod, ref.Owner, container)
	}
	return pod, container, nil
}

// Logs implements backend.Pods.
func (p pods) Logs(ctx context.Context, ref backend.PodRef, o backend.LogOptions) (io.ReadCloser, error) {
	pod, container, err := p.find(ctx, ref, o.Container)
	if err != nil {
		return nil, err
	}
	options := &corev1.PodLogOptions{Container: container, Follow: o.Follow, Timestamps: o.Timestamps}
	if o.Tail > 0 {
		options.TailLines = new(int64(o.Tail))
	}
	stream, err := p.cluster.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the log of container %s in pod %s: %w", container, ref.Pod, err)
	}
	return stream, nil
}

// Exec implements backend.Pods.
func (p pods) Exec(ctx context.Context, ref backend.PodRef, e backend.ExecRequest) (int, error) {
	pod, container, err := p.find(ctx, ref, e.Container)
	if err != nil {
		return 0, err
	}
	if e.Stdout == nil {
		e.Stdout = io.Discard
	}
	if e.Stderr == nil {
		e.Stderr = io.Discard
	}
	url := p.cluster.CoreV1().RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: container, Command: e.Command, Stdin: e.Stdin != nil, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec).URL()
	overWebSocket, err := remotecommand.NewWebSocketExecutor(p.config, http.MethodGet, url.String())
	if err != nil {
		return 0, fmt.Errorf("executing in pod %s: %w", ref.Pod, err)
	}
	overSPDY, err := remotecommand.NewSPDYExecutor(p.config, http.MethodPost, url)
	if err != nil {
		return 0, fmt.Errorf("executing in pod %s: %w", ref.Pod, err)
	}
	executor, err := remotecommand.NewFallbackExecutor(overWebSocket, overSPDY, httpstream.IsUpgradeFailure)
	if err != nil {
		return 0, fmt.Errorf("executing in pod %s: %w", ref.Pod, err)
	}
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: e.Stdin, Stdout: e.Stdout, Stderr: e.Stderr})
	var ended utilexec.CodeExitError
	if errors.As(err, &ended) {
		return ended.Code, nil
	}
	if err != nil {
		return 0, fmt.Errorf("executing %v in pod %s: %w", e.Command, ref.Pod, err)
	}
	return 0, nil
}
