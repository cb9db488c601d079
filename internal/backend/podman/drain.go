package podman

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// preStopLabel writes down the hooks of a template, so that a pod that is in no set any more is still ended as it asked
// for. Named ports are resolved.
func preStopLabel(spec *corev1.PodSpec) (string, error) {
	hooks := map[string]*corev1.LifecycleHandler{}
	for _, c := range spec.Containers {
		if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
			continue
		}
		hook := c.Lifecycle.PreStop.DeepCopy()
		var err error
		if hook.HTTPGet != nil {
			if hook.HTTPGet.Port, err = numbered(hook.HTTPGet.Port, c.Ports); err != nil {
				return "", fmt.Errorf("container %s: lifecycle.preStop.httpGet.port: %w", c.Name, err)
			}
		}
		hooks[c.Name] = hook
	}
	if len(hooks) == 0 {
		return "", nil
	}
	text, err := json.Marshal(hooks)
	if err != nil {
		return "", fmt.Errorf("writing down the hooks: %w", err)
	}
	return string(text), nil
}

// retire ends a pod as a kubelet does: hooks first, then the signal, all within the grace. By then its Services' names
// lead elsewhere.
func (b *Backend) retire(ctx context.Context, pod podInfo) error {
	grace, begin := graceOf(pod), time.Now()
	b.runPreStop(ctx, pod, grace)
	left := max(grace-time.Since(begin), minimumGrace)
	if err := b.engine.removePod(ctx, pod.id, b.terminate(ctx, pod, left)); err != nil {
		return err
	}
	b.forgetInfra(pod.infra.id)
	return nil
}

// minimumGrace is what a kubelet leaves to a container whose hook took all the time (kuberuntime_container.go).
const minimumGrace = 2 * time.Second

// graceOf a pod: what it was played with.
func graceOf(p podInfo) time.Duration {
	seconds, err := strconv.Atoi(p.labels[labelGrace])
	if err != nil {
		return defaultGrace
	}
	return time.Duration(seconds) * time.Second
}

// runPreStop runs the hooks of all running containers side by side. One that fails, or takes too long, does not keep the
// pod from ending.
func (b *Backend) runPreStop(ctx context.Context, pod podInfo, grace time.Duration) {
	text := pod.labels[labelPreStop]
	if text == "" {
		return
	}
	var hooks map[string]*corev1.LifecycleHandler
	if err := json.Unmarshal([]byte(text), &hooks); err != nil {
		b.log.Info("the hooks of a pod can't be read", "pod", pod.name, "error", err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	var all sync.WaitGroup
	for _, c := range pod.containers {
		hook := hooks[manifestName(pod.name, c.name)]
		if hook == nil || c.state != "running" {
			continue
		}
		all.Go(func() {
			if err := b.runHook(ctx, hook, c, pod); err != nil {
				b.log.Info("a preStop hook failed", "pod", pod.name, "container", c.name, "error", err.Error())
			}
		})
	}
	all.Wait()
}

func (b *Backend) runHook(ctx context.Context, hook *corev1.LifecycleHandler, c containerInfo, pod podInfo) error {
	switch {
	case hook.Sleep != nil:
		select {
		case <-time.After(time.Duration(hook.Sleep.Seconds) * time.Second):
		case <-ctx.Done():
		}
		return nil
	case hook.Exec != nil:
		code, err := b.engine.exec(ctx, c.id, execRequest{command: hook.Exec.Command, stdout: io.Discard, stderr: io.Discard})
		if err == nil && code != 0 {
			err = fmt.Errorf("%q: exit code %d", hook.Exec.Command, code)
		}
		return err
	case hook.HTTPGet != nil:
		return probeHTTP(ctx, hook.HTTPGet, target{container: c.id, addr: anyAddress(b.networkOf(pod).byNet), dial: b.prober.dial})
	}
	return nil
}
