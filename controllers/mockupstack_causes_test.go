package controllers

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

func deployment(component string) manifests.Ref {
	return manifests.Ref{Kind: "Deployment", Name: "shop-" + component}
}

func pods(n int) []backend.Pod { return make([]backend.Pod, n) }

func shop() *v1alpha1.MockupStack {
	s := &v1alpha1.MockupStack{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop", Generation: 3}}
	s.Spec.Services = []v1alpha1.Service{{Name: "web"}, {Name: "api"}}
	return s
}

func observing(states ...backend.State) observed {
	return observed{Set: manifests.Set{Owner: manifests.StackOwner(shop())}, Observation: backend.Observation{Objects: states}}
}

// TestConditions reads the three conditions of a pass as "Ready Reconciling Stalled", the reason and the message of Ready.
func TestConditions(t *testing.T) {
	ready := backend.State{Ref: deployment("api"), Phase: backend.Ready, Desired: 1, Ready: 1, Updated: 1, Pods: pods(1)}
	for name, c := range map[string]struct {
		state                       backend.State
		conditions, reason, message string
	}{
		"ready": {ready, "True False False", "Ready", "everything asked for is there and ready"},
		"rolling out": {
			backend.State{Ref: deployment("web"), Phase: backend.Progressing, Reason: backend.ReasonRollingOut, Message: "1 of 2 pods updated", Desired: 2, Ready: 2, Updated: 1, Pods: pods(3)},
			"False True False", "Progressing", "Deployment/shop-web: RollingOut: 1 of 2 pods updated",
		},
		"unready": {
			backend.State{Ref: deployment("web"), Phase: backend.NotReady, Reason: backend.ReasonUnready, Desired: 1, Updated: 1, Pods: pods(1)},
			"False True False", "WorkloadNotReady", "Deployment/shop-web: ReadinessProbeFailed",
		},
		"roll-out out of time, with the old pod ready": {
			backend.State{Ref: deployment("web"), Phase: backend.Failed, Reason: backend.ReasonDeadline, Message: "no progress for 60s", Desired: 1, Ready: 1, Updated: 1, Pods: pods(2)},
			"False False True", "RolloutFailed", "Deployment/shop-web: ProgressDeadlineExceeded: no progress for 60s; the previous revision still serves",
		},
		"roll-out out of time, though its pods were ready": {
			backend.State{Ref: deployment("web"), Phase: backend.Progressing, Reason: backend.ReasonDeadline, Desired: 1, Ready: 0, Updated: 1, Pods: pods(1)},
			"False False True", "RolloutFailed", "Deployment/shop-web: ProgressDeadlineExceeded",
		},
		"new pods crash, old ones serve": {
			backend.State{Ref: deployment("web"), Phase: backend.Progressing, Reason: backend.ReasonCrashLoop, Message: "back-off 10s", ExitCode: new(int32(3)), Desired: 1, Ready: 1, Updated: 1, Pods: pods(2)},
			"False False True", "RolloutFailed", "Deployment/shop-web: CrashLoopBackOff: back-off 10s, exit code 3; the previous revision still serves",
		},
		"all pods crash": {
			backend.State{Ref: deployment("web"), Phase: backend.NotReady, Reason: backend.ReasonCrashLoop, ExitCode: new(int32(1)), Desired: 1, Updated: 1, Pods: pods(1)},
			"False False True", "WorkloadFailed", "Deployment/shop-web: CrashLoopBackOff: exit code 1",
		},
		"one of three updated pods crashes": {
			backend.State{Ref: deployment("web"), Phase: backend.NotReady, Reason: backend.ReasonCrashLoop, ExitCode: new(int32(1)), Desired: 3, Ready: 2, Updated: 3, Pods: pods(3)},
			"False False True", "WorkloadFailed", "Deployment/shop-web: CrashLoopBackOff: exit code 1",
		},
		"killed for memory": {
			backend.State{Ref: deployment("web"), Phase: backend.NotReady, Reason: backend.ReasonOOMKilled, Message: "over its limit of 64Mi", ExitCode: new(int32(137)), Desired: 1, Updated: 1, Pods: pods(1)},
			"False True False", "WorkloadNotReady", "Deployment/shop-web: OOMKilled: over its limit of 64Mi, exit code 137",
		},
		"no image for the new pods": {
			backend.State{Ref: deployment("web"), Phase: backend.Failed, Reason: backend.ReasonImagePull, Message: "no web:2", Desired: 1, Ready: 1, Pods: pods(1)},
			"False False True", "ImageUnavailable", "Deployment/shop-web: ImagePullBackOff: no web:2; the previous revision still serves",
		},
		"gateway refuses its configuration": {
			backend.State{Ref: deployment("gateway"), Phase: backend.Ready, Reason: backend.ReasonReload, Message: "nginx: [emerg] x", Desired: 1, Ready: 1, Updated: 1, Pods: pods(1)},
			"False False True", "ConfigurationRejected", "Deployment/shop-gateway: ReloadFailed: nginx: [emerg] x; the gateway runs on with its last good configuration",
		},
		"a crashing pod that goes is none": {
			backend.State{Ref: deployment("web"), Phase: backend.Terminating, Reason: backend.ReasonCrashLoop},
			"True True False", "Ready", "everything asked for is there and ready",
		},
	} {
		t.Run(name, func(t *testing.T) {
			status := stackStatus(shop(), observing(ready, c.state), nil, time.Unix(0, 0))
			got := ""
			for _, kind := range []string{"Ready", "Reconciling", "Stalled"} {
				got += " " + string(meta.FindStatusCondition(status.Conditions, kind).Status)
			}
			r := meta.FindStatusCondition(status.Conditions, "Ready")
			if got[1:] != c.conditions || r.Reason != c.reason || r.Message != c.message {
				t.Errorf("got  %s %s: %s\nwant %s %s: %s", got[1:], r.Reason, r.Message, c.conditions, c.reason, c.message)
			}
			if stalled := meta.FindStatusCondition(status.Conditions, "Stalled"); stalled.Status == "True" && stalled.Reason != c.reason {
				t.Errorf("stalled for %s", stalled.Reason)
			}
		})
	}
}

func TestWorkloadStatus(t *testing.T) {
	stack := shop()
	stack.Annotations = map[string]string{"restart.mockup.dev/web": "2026-11-23T18:00:00Z"}
	status := stackStatus(stack, observing(
		backend.State{Ref: deployment("web"), Phase: backend.Progressing, Reason: backend.ReasonCrashLoop, Desired: 3, Ready: 2, Updated: 1, Pods: pods(4)},
		backend.State{Ref: deployment("api"), Phase: backend.Ready, Desired: 1, Ready: 1, Updated: 1, Pods: pods(1)},
	), nil, time.Unix(0, 0))
	web, api := status.Services[0], status.Services[1]
	if web.Updated != "1/3" || web.Ready != "2/3" || web.Phase != "Failed" || web.RestartedAt != "2026-11-23T18:00:00Z" {
		t.Errorf("web: %+v", web)
	}
	if api.Updated != "1/1" || api.Phase != "Ready" || api.RestartedAt != "" || status.Workloads != "1/2" {
		t.Errorf("api: %+v, %s", api, status.Workloads)
	}
}

// TestCrashLoopIsSteady follows a container that crashes, is started again, and recovers or is changed.
func TestCrashLoopIsSteady(t *testing.T) {
	crashed := backend.State{Ref: deployment("web"), Phase: backend.Progressing, Reason: backend.ReasonCrashLoop, Message: "ended 3 times", ExitCode: new(int32(2)), Desired: 1, Ready: 1, Updated: 1, Pods: pods(2)}
	started, late := crashed, crashed
	started.Reason, started.Message, started.ExitCode = backend.ReasonRollingOut, "0 of 1 ready", nil
	late.Reason, late.Message = backend.ReasonDeadline, "no progress for 60s"
	ready := backend.State{Ref: deployment("web"), Phase: backend.Ready, Desired: 1, Ready: 1, Updated: 1, Pods: pods(1)}
	same := func(*v1alpha1.MockupStack) {}
	for name, c := range map[string]struct {
		change func(*v1alpha1.MockupStack)
		now    backend.State
		want   string
	}{
		"started again":      {same, started, "RolloutFailed: Deployment/shop-web: CrashLoopBackOff: ended 3 times, exit code 2; the previous revision still serves"},
		"crashed again":      {same, crashed, "RolloutFailed: Deployment/shop-web: CrashLoopBackOff: ended 3 times, exit code 2; the previous revision still serves"},
		"out of time":        {same, late, "RolloutFailed: Deployment/shop-web: ProgressDeadlineExceeded: no progress for 60s; the previous revision still serves"},
		"recovered":          {same, ready, "Ready: everything asked for is there and ready"},
		"changed":            {func(s *v1alpha1.MockupStack) { s.Generation++ }, started, "Progressing: Deployment/shop-web: RollingOut: 0 of 1 ready"},
		"asked to restart":   {func(s *v1alpha1.MockupStack) { s.Annotations = map[string]string{"restart.mockup.dev/web": "now"} }, started, "Progressing: Deployment/shop-web: RollingOut: 0 of 1 ready"},
		"another is started": {func(s *v1alpha1.MockupStack) { s.Status.Services[0].Name = "api" }, started, "Progressing: Deployment/shop-web: RollingOut: 0 of 1 ready"},
	} {
		stack := shop()
		stack.Status = stackStatus(stack, observing(crashed), nil, time.Unix(0, 0))
		c.change(stack)
		r := meta.FindStatusCondition(stackStatus(stack, observing(c.now), nil, time.Unix(0, 0)).Conditions, "Ready")
		if got := r.Reason + ": " + r.Message; got != c.want {
			t.Errorf("%s: got  %s\nwant %s", name, got, c.want)
		}
	}
}

// TestTransitions tells of a change of Ready or of its reason, once.
func TestTransitions(t *testing.T) {
	at := func(status metav1.ConditionStatus, reason string) v1alpha1.MockupStackStatus {
		return v1alpha1.MockupStackStatus{Conditions: []metav1.Condition{{Type: "Ready", Status: status, Reason: reason, Message: "m"}}}
	}
	for name, c := range map[string]struct {
		before, after v1alpha1.MockupStackStatus
		want          []transition
	}{
		"a roll-out begins":   {at("True", "Ready"), at("False", "Progressing"), []transition{{corev1.EventTypeNormal, "Progressing", "m"}}},
		"a roll-out fails":    {at("False", "Progressing"), at("False", "RolloutFailed"), []transition{{corev1.EventTypeWarning, "RolloutFailed", "m"}}},
		"a container crashes": {at("True", "Ready"), at("False", "WorkloadFailed"), []transition{{corev1.EventTypeWarning, "WorkloadFailed", "m"}}},
		"nginx refuses":       {at("True", "Ready"), at("False", "ConfigurationRejected"), []transition{{corev1.EventTypeWarning, "ConfigurationRejected", "m"}}},
		"undone":              {at("False", "RolloutFailed"), at("True", "Ready"), []transition{{corev1.EventTypeNormal, "Ready", "m"}}},
		"still failing":       {at("False", "RolloutFailed"), at("False", "RolloutFailed"), nil},
	} {
		got := transitions(c.before.Conditions, c.after.Conditions)
		if len(got) != len(c.want) || len(got) > 0 && got[0] != c.want[0] {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestRendered(t *testing.T) {
	for err, want := range map[error]bool{
		nil:                               true,
		&manifests.MissingError{}:         true,
		&backendError{errors.New("gone")}: true,
		&manifests.InvalidError{}:         false,
		&nameTakenError{}:                 false,
		errors.New("no API server"):       false,
	} {
		if rendered(err) != want {
			t.Errorf("%v: %t", err, !want)
		}
	}
}
