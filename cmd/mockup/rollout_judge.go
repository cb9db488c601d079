package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// The phases of a roll-out.
const (
	rolloutComplete    = "Complete"
	rolloutProgressing = "Progressing"
	rolloutFailed      = "Failed"
	// rolloutUnknown: the stack has no such service.
	rolloutUnknown = "Unknown"
)

// rollout of a stack, or of one service, as its status tells.
type rollout struct {
	Namespace string `json:"namespace"`
	Stack     string `json:"stack"`
	// Service is empty for all of the stack.
	Service  string `json:"service,omitempty"`
	Revision int64  `json:"revision,omitempty"`
	Phase    string `json:"phase"`
	// Reason for a failure, in the word of the stack's conditions.
	Reason    string            `json:"reason,omitempty"`
	Message   string            `json:"message"`
	Workloads []rolloutWorkload `json:"workloads"`
}

// rolloutWorkload counts pods as in "1/3".
type rolloutWorkload struct {
	Name    string `json:"name"`
	Phase   string `json:"phase"`
	Updated string `json:"updated"`
	Ready   string `json:"ready"`
}

// subject is what is rolled out, for messages.
func (r rollout) subject() string {
	if r.Service != "" {
		return fmt.Sprintf("%s of stack %s/%s", r.Service, r.Namespace, r.Stack)
	}
	return fmt.Sprintf("stack %s/%s", r.Namespace, r.Stack)
}

func (r rollout) line() string {
	switch r.Phase {
	case rolloutComplete:
		return fmt.Sprintf("%s is rolled out: %s", r.subject(), r.Message)
	case rolloutFailed:
		return fmt.Sprintf("%s: %s: %s", r.subject(), r.Reason, r.Message)
	}
	return fmt.Sprintf("%s: %s", r.subject(), r.Message)
}

// rolloutOf a stack, or of its service if one is named. It is pure.
func rolloutOf(s *v1alpha1.MockupStack, service string) rollout {
	r := rollout{Namespace: s.Namespace, Stack: s.Name, Service: service, Revision: s.Status.Revision, Phase: rolloutProgressing, Workloads: []rolloutWorkload{}}
	if has := components(s); service != "" && !slices.Contains(has, service) {
		r.Phase, r.Message = rolloutUnknown, fmt.Sprintf("stack %s has no service %q; it has %s", keyOf(s), service, strings.Join(has, ", "))
		return r
	}
	concerned := slices.DeleteFunc(workloads(s), func(w v1alpha1.WorkloadStatus) bool { return service != "" && w.Name != service })
	for _, w := range concerned {
		r.Workloads = append(r.Workloads, rolloutWorkload{Name: w.Name, Phase: w.Phase, Updated: w.Updated, Ready: w.Ready})
	}
	switch unseen := unseenRestart(s, concerned); {
	case s.Status.ObservedGeneration != s.Generation:
		r.Message = fmt.Sprintf("waiting for the operator to look at generation %d", s.Generation)
	case r.fails(s, concerned):
	case unseen != "":
		r.Message = "waiting for the operator to restart " + unseen
	default:
		r.proceeds(s, concerned)
	}
	return r
}

// unseenRestart names a workload whose restart was asked for and is not in its status yet.
func unseenRestart(s *v1alpha1.MockupStack, concerned []v1alpha1.WorkloadStatus) string {
	for _, w := range concerned {
		if manifests.RestartedAt(s, w.Name) != w.RestartedAt {
			return w.Name
		}
	}
	return ""
}

// fails tells whether nothing goes on without a change, and says why. Where one service is asked about, that of another
// does not matter, unless it keeps the operator from looking at any.
func (r *rollout) fails(s *v1alpha1.MockupStack, concerned []v1alpha1.WorkloadStatus) bool {
	stalled := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionStalled)
	if stalled == nil || stalled.Status != "True" {
		return false
	}
	if r.Service == "" || stopsAll(stalled.Reason) {
		r.Phase, r.Reason, r.Message = rolloutFailed, stalled.Reason, stalled.Message
		return true
	}
	for _, w := range concerned {
		if w.Phase == string(backend.Failed) {
			r.Phase, r.Reason, r.Message = rolloutFailed, cmp.Or(w.Reason, w.Phase), cmp.Or(w.Message, "see: mockup logs "+w.Name)
			return true
		}
	}
	return false
}

// stopsAll are the reasons for which nothing of a stack is applied.
func stopsAll(reason string) bool {
	return slices.Contains([]string{v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonReferenceMissing, v1alpha1.ReasonNameTaken}, reason)
}

// proceeds tells whether it is done, or what is waited for.
func (r *rollout) proceeds(s *v1alpha1.MockupStack, concerned []v1alpha1.WorkloadStatus) {
	var waiting []string
	for _, w := range concerned {
		if w.Phase == string(backend.Ready) && whole(w.Updated) && whole(w.Ready) {
			continue
		}
		text := fmt.Sprintf("%s (%s updated, %s ready", w.Name, cmp.Or(w.Updated, "?"), w.Ready)
		if why := cmp.Or(w.Message, w.Reason); why != "" {
			text += ": " + why
		}
		waiting = append(waiting, text+")")
	}
	switch {
	case len(waiting) > 0 || len(concerned) == 0:
		r.Message = "waiting for " + cmp.Or(strings.Join(waiting, ", "), "the operator to make its workloads")
	case r.Service == "" && !meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady):
		r.Message = waitingFor(s)
	default:
		r.Phase, r.Message = rolloutComplete, counted(len(concerned), "workload")
		if r.Revision > 0 {
			r.Message = fmt.Sprintf("revision %d, %s", r.Revision, r.Message)
		}
	}
}

// whole tells of "N/M" whether it is all of them.
func whole(count string) bool {
	n, of, ok := strings.Cut(count, "/")
	return ok && n == of
}
