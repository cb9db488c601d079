package kubernetes

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"mockup.dev/mockup/internal/backend"
)

func TestJudge(t *testing.T) {
	const template = `"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}`
	deployment := func(status string) string {
		return `{"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2, ` + template + `}, "status": ` + status + `}`
	}
	daemonSet := func(status string) string {
		return `{"kind": "DaemonSet", "metadata": {"generation": 2}, "spec": {` + template + `}, "status": ` + status + `}`
	}
	for name, c := range map[string]struct {
		object string
		phase  backend.Phase
		reason string
	}{
		"a Deployment that its controller has not seen": {
			deployment(`{"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}`),
			backend.Progressing, "",
		},
		"a Deployment with all its pods": {
			deployment(`{"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}`),
			backend.Ready, "",
		},
		"a Deployment with an old pod left": {
			deployment(`{"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "readyReplicas": 3, "availableReplicas": 3}`),
			backend.Progressing, "",
		},
		"a Deployment that was rolled out and lost a pod": {
			deployment(`{"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1,
				"conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]}`),
			backend.NotReady, "",
		},
		"a Deployment that gave up": {
			deployment(`{"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1,
				"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}`),
			backend.Failed, "ProgressDeadlineExceeded",
		},
		"a Deployment whose pods are refused": {
			deployment(`{"observedGeneration": 2, "conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}]}`),
			backend.Failed, "FailedCreate",
		},
		"a DaemonSet on all nodes": {
			daemonSet(`{"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}`),
			backend.Ready, "",
		},
		"a DaemonSet on its way": {
			daemonSet(`{"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2}`),
			backend.Progressing, "",
		},
		"a DaemonSet that its controller has not seen": {daemonSet(`{"observedGeneration": 1}`), backend.Progressing, ""},
		"a claim that waits":                           {`{"kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}`, backend.Pending, "Pending"},
		"a claim that is lost":                         {`{"kind": "PersistentVolumeClaim", "status": {"phase": "Lost"}}`, backend.Failed, "Lost"},
		"a Service":                                    {`{"kind": "Service"}`, backend.Ready, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var live unstructured.Unstructured
			if err := json.Unmarshal([]byte(c.object), &live.Object); err != nil {
				t.Fatal(err)
			}
			state := backend.State{Phase: backend.Ready}
			if err := judge(&state, &live); err != nil {
				t.Fatal(err)
			}
			if state.Phase != c.phase || state.Reason != c.reason {
				t.Errorf("judged %s %q, not %s %q", state.Phase, state.Reason, c.phase, c.reason)
			}
		})
	}
}

func TestExplainAPodWithoutANode(t *testing.T) {
	var pod corev1.Pod
	pod.Name = "web-1"
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available",
	}}
	var state backend.State
	explain(&state, []corev1.Pod{pod})
	if state.Reason != "Unschedulable" || state.Message != "pod web-1: 0/1 nodes are available" {
		t.Errorf("explained as %q: %q", state.Reason, state.Message)
	}
}

func TestExplainAPodThatStarts(t *testing.T) {
	waits := func(name string, w corev1.ContainerStateWaiting) (pod corev1.Pod) {
		pod.Name = name
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", State: corev1.ContainerState{Waiting: &w}}}
		return pod
	}
	starts := waits("web-1", corev1.ContainerStateWaiting{Reason: "ContainerCreating"})
	fails := waits("web-2", corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 10s"})
	for want, pods := range map[string][]corev1.Pod{
		"ContainerCreating: pod web-1, container web: ContainerCreating": {starts},
		"CrashLoopBackOff: pod web-2, container web: back-off 10s":       {starts, fails},
	} {
		var state backend.State
		explain(&state, pods)
		explainStart(&state, pods)
		if got := state.Reason + ": " + state.Message; got != want {
			t.Errorf("explained as %q, want %q", got, want)
		}
	}
}
