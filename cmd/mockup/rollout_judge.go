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
	// rolloutUnknown: there is no such service or component.
	rolloutUnknown = "Unknown"
)

// rollout of a stack, or of one service, or of an addon, as its status tells.
type rollout struct {
	Namespace string `json:"namespace"`
	Stack     string `json:"stack"`
	// Addon is empty for the stack itself.
	Addon string `json:"addon,omitempty"`
	// Service, or component of the addon, is empty for all of it.
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
	text := fmt.Sprintf("stack %s/%s", r.Namespace, r.Stack)
	if r.Addon != "" {
		text = fmt.Sprintf("addon %s/%s", r.Namespace, r.Addon)
	}
	if r.Service != "" {
		text = r.Service + " of " + text
	}
	return text
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

// rolloutOf a stack or an addon, or of its service if one is named. It is pure.
func rolloutOf(s *subject, service string) rollout {
	r := rollout{Namespace: s.GetNamespace(), Stack: s.stack, Service: service, Revision: s.revision, Phase: rolloutProgressing, Workloads: []rolloutWorkload{}}
	if s.kind == addonKind {
		r.Addon = s.GetName()
	}
	if service != "" && !slices.Contains(s.components, service) {
		r.Phase, r.Message = rolloutUnknown, fmt.Sprintf("%s has no service %q; it has %s", s, service, strings.Join(s.components, ", "))
		return r
	}
	concerned := slices.DeleteFunc(slices.Clone(s.workloads), func(w v1alpha1.WorkloadStatus) bool { return service != "" && w.Name != service })
	for _, w := range concerned {
		r.Workloads = append(r.Workloads, rolloutWorkload{Name: w.Name, Phase: w.Phase, Updated: w.Updated, Ready: w.Ready})
	}
	switch unseen := unseenRestart(s, concerned); {
	case s.observedGeneration != s.GetGeneration():
		r.Message = fmt.Sprintf("waiting for the operator to look at generation %d", s.GetGeneration())
	case r.fails(s, concerned):
	case unseen != "":
		r.Message = "waiting for the operator to restart " + unseen
	default:
		r.proceeds(s, concerned)
	}
	return r
}

// unseenRestart names a workload whose restart was asked for and is not in its status yet.
func unseenRestart(s *subject, concerned []v1alpha1.WorkloadStatus) string {
	stack, ok := s.Object.(*v1alpha1.MockupStack)
	if !ok {
		return ""
	}
	for _, w := range concerned {
		if manifests.RestartedAt(stack, w.Name) != w.RestartedAt {
			return w.Name
		}
	}
	return ""
}

// fails tells whether nothing goes on without a change, and says why. Where one service is asked about, that of another
// does not matter, unless it keeps the operator from looking at any.
func (r *rollout) fails(s *subject, concerned []v1alpha1.WorkloadStatus) bool {
	stalled := meta.FindStatusCondition(*s.conditions, v1alpha1.ConditionStalled)
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

// stopsAll are the reasons for which nothing of a stack or an addon is applied.
func stopsAll(reason string) bool {
	return slices.Contains([]string{v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonReferenceMissing, v1alpha1.ReasonNameTaken, v1alpha1.ReasonStackNotFound}, reason)
}

// proceeds tells whether it is done, or what is waited for.
func (r *rollout) proceeds(s *subject, concerned []v1alpha1.WorkloadStatus) {
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
	case r.Service == "" && !meta.IsStatusConditionTrue(*s.conditions, v1alpha1.ConditionReady):
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
