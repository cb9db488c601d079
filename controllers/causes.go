package controllers

import (
	"fmt"
	"slices"
	"strings"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// saying is what the status said of a workload.
type saying struct{ reason, message string }

// judged are states in which every workload has failed that makes no progress without a change, whatever phase its pods
// are in: with some of these reasons, older pods may well be ready. said is what was said the last time of the workloads
// that have not been changed since.
func judged(states []backend.State, said map[manifests.Ref]saying) []backend.State {
	out := slices.Clone(states)
	for i := range out {
		s := &out[i]
		if s.Phase == backend.Terminating {
			continue
		}
		if before := said[s.Ref]; crashing(before, *s) {
			s.Reason, s.Message = backend.ReasonCrashLoop, before.message
		} else if crashed := s.Reason == backend.ReasonCrashLoop || s.Reason == backend.ReasonOOMKilled; crashed && s.ExitCode != nil {
			s.Message = withExitCode(s.Message, *s.ExitCode)
		}
		switch s.Reason {
		case backend.ReasonCrashLoop, backend.ReasonDeadline, backend.ReasonReload:
			s.Phase = backend.Failed
		}
	}
	return out
}

func withExitCode(message string, code int32) string {
	text := fmt.Sprintf("exit code %d", code)
	switch {
	case message == "":
		return text
	case strings.Contains(message, text):
		return message
	}
	return message + ", " + text
}

// crashing tells whether a container that was in a crash loop has only been started again. It looks well until it crashes
// the next time; were that believed, the conditions would change with each crash. It has recovered when its workload is
// ready, or when something about it was changed.
func crashing(before saying, s backend.State) bool {
	if s.Phase != backend.Progressing && s.Phase != backend.NotReady {
		return false
	}
	return s.Reason != backend.ReasonCrashLoop && s.Reason != backend.ReasonDeadline && before.reason == backend.ReasonCrashLoop
}

// conditionReason is the condition's word for why something has failed.
func conditionReason(s backend.State) string {
	switch s.Reason {
	case backend.ReasonImagePull:
		return v1alpha1.ReasonImageUnavailable
	case backend.ReasonNameTaken:
		return v1alpha1.ReasonNameTaken
	case backend.ReasonSubnetInUse:
		return v1alpha1.ReasonSubnetInUse
	case backend.ReasonPortInUse:
		return v1alpha1.ReasonPortInUse
	case backend.ReasonMissing:
		return v1alpha1.ReasonReferenceMissing
	case backend.ReasonReload:
		return v1alpha1.ReasonConfigurationRejected
	case backend.ReasonDeadline:
		return v1alpha1.ReasonRolloutFailed
	}
	if previousServes(s) {
		return v1alpha1.ReasonRolloutFailed
	}
	return v1alpha1.ReasonWorkloadFailed
}

// previousServes tells whether pods from before the change that failed are there, and some pod is ready.
func previousServes(s backend.State) bool {
	return s.Ready > 0 && int(s.Updated) < len(s.Pods)
}

// describe names the objects and what is the matter with each, the first three of them.
func describe(stack string, states []backend.State) string {
	const most = 3
	var parts []string
	for i, s := range states {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(states)-most))
			break
		}
		parts = append(parts, cause(stack, s))
	}
	return strings.Join(parts, "; ")
}

// cause names an object, what is the matter with it, and what goes on in spite of it.
func cause(stack string, s backend.State) string {
	text := s.Ref.String() + ": " + s.Reason
	if s.Message != "" {
		text += ": " + s.Message
	}
	switch {
	case s.Reason == backend.ReasonReload:
		text += "; " + subject(stack, s.Ref) + " runs on with its last good configuration"
	case s.Phase == backend.Failed && previousServes(s):
		text += "; the previous revision still serves"
	}
	return text
}

// subject is a workload in the words of the specification.
func subject(stack string, ref manifests.Ref) string {
	component := strings.TrimPrefix(ref.Name, stack+"-")
	if component == manifests.ComponentGateway {
		return "the gateway"
	}
	return component
}
