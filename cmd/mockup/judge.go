package main

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"mockup.dev/mockup/api/v1alpha1"
)

// verdict on a stack or an addon, from its status.
type verdict struct {
	ready, stalled bool
	// text says what is waited for, or what is wrong.
	text string
}

// judge reads a status. One that speaks of an older generation says nothing.
func judge(s *subject) verdict {
	if s.observedGeneration != s.GetGeneration() || len(*s.conditions) == 0 {
		return verdict{text: "the operator has not looked at it yet"}
	}
	if meta.IsStatusConditionTrue(*s.conditions, v1alpha1.ConditionReady) {
		return verdict{ready: true, text: "ready"}
	}
	if c := meta.FindStatusCondition(*s.conditions, v1alpha1.ConditionStalled); c != nil && c.Status == "True" {
		return verdict{stalled: true, text: c.Reason + ": " + c.Message}
	}
	return verdict{text: waitingFor(s)}
}

// waitingFor names the workloads that are not ready, each with its reason.
func waitingFor(s *subject) string {
	var waiting []string
	for _, w := range s.workloads {
		if w.Phase == "Ready" {
			continue
		}
		reason := w.Reason
		if reason == "" {
			reason = w.Phase
		}
		if w.Restarts > 0 {
			reason += ", " + counted(int(w.Restarts), "restart")
		}
		waiting = append(waiting, w.Name+" ("+reason+")")
	}
	if len(waiting) > 0 {
		return "waiting for " + strings.Join(waiting, ", ")
	}
	if c := meta.FindStatusCondition(*s.conditions, v1alpha1.ConditionReady); c != nil && c.Message != "" {
		return fmt.Sprintf("%s: %s", c.Reason, c.Message)
	}
	return "waiting"
}
