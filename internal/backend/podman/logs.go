package podman

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"mockup.dev/mockup/internal/backend/podman/node"
)

const (
	// logDriver writes lines in the form of a container runtime's (CRI), as log agents of a cluster read them.
	logDriver = "k8s-file"
	// kubeletPodLogs is where a kubelet keeps the logs of pods (podLogsRootDirectory, pkg/kubelet/kuberuntime).
	kubeletPodLogs = "/var/log/pods"
	// kubeletLinks has links to them, one for each container.
	kubeletLinks = "/var/log/containers"
)

// logOptions of a play; sizes in words would be taken for powers of ten.
func logOptions() []string { return []string{fmt.Sprintf("max-size=%d", node.MaxLogSize)} }

// place asks Podman once.
func (b *Backend) place(ctx context.Context) (place, error) {
	b.mu.Lock()
	known := b.where
	b.mu.Unlock()
	if known != (place{}) {
		return known, nil
	}
	where, err := b.engine.place(ctx)
	if err != nil {
		return place{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.where = where
	return where, nil
}

// podLogs is the folder that stands for kubeletPodLogs. It is inside of Podman's storage, since only there can it be known
// to be on the same file system.
func (p place) podLogs() string { return filepath.Join(p.storage, "mockup-pod-logs") }

// logOf a container is the file that Podman writes (StaticDir, libpod/container.go).
func (p place) logOf(container string) string {
	return filepath.Join(p.storage, p.driver+"-containers", container, "userdata", "ctr.log")
}

// logs of all pods that are there: also those that have ended, and above all those.
func (s *seen) logs() node.Logs {
	out := node.Logs{Dir: s.where.podLogs()}
	for _, p := range s.pods {
		logs := node.PodLogs{Name: p.name, ID: p.id, Containers: map[string]string{}}
		for _, c := range p.containers {
			logs.Containers[manifestName(p.name, c.name)] = s.where.logOf(c.id)
		}
		out.Pods = append(out.Pods, logs)
	}
	return out
}

// hostPath leads a log agent to the logs of pods.
func (v *podVolumes) hostPath(wanted string) string {
	rest, below := strings.CutPrefix(path.Clean(wanted)+"/", kubeletPodLogs+"/")
	if !below {
		return wanted
	}
	return path.Join(v.podLogs, rest)
}

// holdsLogs judges the path of a hostPath by which the logs of pods would be found on a cluster.
func holdsLogs(value any) string {
	switch at, _ := value.(string); path.Clean(at) {
	case path.Dir(kubeletPodLogs), kubeletLinks:
		return "the logs of pods are in " + kubeletPodLogs + " alone"
	}
	return ""
}

// unkept says which of a workload's pods log agents can't read, and why.
func (j *judgement) unkept(c crew) string {
	for _, m := range c.fresh {
		if problem := j.node.logs[m.name]; problem != "" {
			return fmt.Sprintf("log agents don't find the logs of pod %s: %s", m.name, problem)
		}
	}
	return ""
}
