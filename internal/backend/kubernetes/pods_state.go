package kubernetes

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
)

// addPods adds to a state what the pods of its workload show.
func addPods(state *backend.State, pods []corev1.Pod) {
	for i := range pods {
		pod := &pods[i]
		for _, c := range pod.Status.ContainerStatuses {
			state.Restarts += c.RestartCount
		}
		if end := endOf(pod); end != nil {
			state.ExitCode = new(end.ExitCode)
		}
		if pod.DeletionTimestamp != nil {
			state.Passing++
			continue
		}
		seen := backend.Pod{Name: pod.Name, Ready: isReady(pod)}
		if pod.Status.PodIP != "" {
			seen.Addresses = map[string]string{"": pod.Status.PodIP}
		}
		state.Pods = append(state.Pods, seen)
	}
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// endOf the main container: that of now, or the one before while it waits to be started again.
func endOf(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name != pod.Spec.Containers[0].Name {
			continue
		}
		if c.State.Terminated != nil {
			return c.State.Terminated
		}
		if c.State.Waiting != nil {
			return c.LastTerminationState.Terminated
		}
	}
	return nil
}

// isPull tells whether kubelet calls so an image that is not to be had.
func isPull(reason string) bool {
	return slices.Contains([]string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}, reason)
}

// explain gives the reason for which a workload is not ready: the first that a pod has.
func explain(state *backend.State, pods []corev1.Pod) {
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp != nil || isReady(pod) {
			continue
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && state.Message == "" {
				state.Reason, state.Message = c.Reason, fmt.Sprintf("pod %s: %s", pod.Name, c.Message)
			}
		}
		for _, c := range pod.Status.ContainerStatuses {
			explainContainer(state, pod, c)
			if state.Message != "" {
				return
			}
		}
	}
}

// explainStart tells what a pod waits for that has nothing worse to say: its volumes, its image, its turn.
func explainStart(state *backend.State, pods []corev1.Pod) {
	for i := range pods {
		for _, c := range pods[i].Status.ContainerStatuses {
			if w := c.State.Waiting; w != nil && state.Message == "" {
				state.Reason, state.Message = w.Reason, fmt.Sprintf("pod %s, container %s: %s", pods[i].Name, c.Name, w.Reason)
			}
		}
	}
}

func explainContainer(state *backend.State, pod *corev1.Pod, c corev1.ContainerStatus) {
	switch {
	case c.State.Waiting != nil && isPull(c.State.Waiting.Reason):
		state.Phase, state.Reason = backend.Failed, backend.ReasonImagePull
		state.Message = fmt.Sprintf("pod %s: image %s: %s", pod.Name, imageOf(pod, c.Name), c.State.Waiting.Message)
	case c.State.Waiting != nil && c.State.Waiting.Message != "":
		state.Reason = c.State.Waiting.Reason
		state.Message = fmt.Sprintf("pod %s, container %s: %s", pod.Name, c.Name, c.State.Waiting.Message)
	case c.State.Terminated != nil:
		state.Reason = backend.ReasonExited
		state.Message = fmt.Sprintf("pod %s, container %s ended with %d: %s", pod.Name, c.Name, c.State.Terminated.ExitCode, c.State.Terminated.Reason)
	case c.State.Running != nil && !c.Ready:
		state.Reason = backend.ReasonUnready
		state.Message = fmt.Sprintf("pod %s, container %s runs and is not ready", pod.Name, c.Name)
	}
}

// imageOf a container as it was asked for; its status may name another.
func imageOf(pod *corev1.Pod, container string) string {
	for _, c := range pod.Spec.Containers {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}
