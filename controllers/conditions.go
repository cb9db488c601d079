package controllers

import (
	"errors"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// verdict is the outcome of a pass in the words of conditions.
type verdict struct {
	ready, reconciling, stalled bool
	reason, message             string
}

func verdictOf(seen observed, err error) verdict {
	if err != nil {
		return errorVerdict(err)
	}
	var waiting, broken []backend.State
	leaving := false
	for _, s := range seen.Observation.Objects {
		switch s.Phase {
		case backend.Ready, backend.Succeeded:
		case backend.Terminating:
			leaving = true
		case backend.Failed:
			broken = append(broken, s)
		default:
			waiting = append(waiting, s)
		}
	}
	switch {
	case len(broken) > 0:
		return verdict{stalled: true, reason: conditionReason(broken[0]), message: describe(seen.Owner.Name, broken)}
	case len(waiting) > 0:
		reason := v1alpha1.ReasonProgressing
		if slices.ContainsFunc(waiting, func(s backend.State) bool { return s.Phase == backend.NotReady }) {
			reason = v1alpha1.ReasonWorkloadNotReady
		}
		return verdict{reconciling: true, reason: reason, message: describe(seen.Owner.Name, waiting)}
	}
	return verdict{ready: true, reconciling: leaving, reason: v1alpha1.ReasonReady, message: "everything asked for is there and ready"}
}

func errorVerdict(err error) verdict {
	var invalid *manifests.InvalidError
	var missing *manifests.MissingError
	var taken *nameTakenError
	var gone *stackNotFoundError
	var shared *sharedRepositoryError
	var unavailable *backendError
	v := verdict{message: err.Error()}
	switch {
	case errors.As(err, &invalid):
		v.stalled, v.reason = true, v1alpha1.ReasonInvalidSpec
	case errors.As(err, &missing):
		v.stalled, v.reason = true, v1alpha1.ReasonReferenceMissing
	case errors.As(err, &taken):
		v.stalled, v.reason = true, v1alpha1.ReasonNameTaken
	case errors.As(err, &gone):
		v.stalled, v.reason = true, v1alpha1.ReasonStackNotFound
	case errors.As(err, &shared):
		v.stalled, v.reason = true, v1alpha1.ReasonRepositoryShared
	case errors.As(err, &unavailable):
		v.reconciling, v.reason = true, v1alpha1.ReasonBackendUnavailable
	default:
		v.reconciling, v.reason = true, v1alpha1.ReasonProgressing
	}
	return v
}

// setConditions writes a verdict down as the conditions that kstatus reads.
func setConditions(conditions *[]metav1.Condition, v verdict, generation int64, now time.Time) {
	set := func(kind string, is bool, reason, message string) {
		c := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now)}
		if is {
			c.Status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(conditions, c)
	}
	set(v1alpha1.ConditionReady, v.ready, v.reason, v.message)
	set(v1alpha1.ConditionReconciling, v.reconciling, either(v.reconciling && !v.ready, v.reason, settledReason(v.reconciling)), either(v.reconciling && !v.ready, v.message, ""))
	set(v1alpha1.ConditionStalled, v.stalled, either(v.stalled, v.reason, "NotStalled"), either(v.stalled, v.message, ""))
}

func settledReason(pruning bool) string {
	if pruning {
		return v1alpha1.ReasonProgressing
	}
	return "Settled"
}

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// leftover is what still has to go before a stack may: everything but retained claims.
func leftover(seen backend.Observation) []backend.State {
	return slices.DeleteFunc(slices.Clone(seen.Objects), func(s backend.State) bool { return s.Reason == backend.ReasonRetained })
}

// removalVerdict is that on a resource that is being deleted, of which live is still there.
func removalVerdict(live []backend.State, err error) verdict {
	if err != nil {
		return errorVerdict(err)
	}
	var names []string
	for _, s := range live {
		names = append(names, s.Ref.String())
	}
	return verdict{reconciling: true, reason: v1alpha1.ReasonDeleting, message: "waiting for " + strings.Join(names, ", ") + " to go"}
}

func refusals(refused []backend.Refusal) []v1alpha1.Refusal {
	var out []v1alpha1.Refusal
	for _, r := range refused {
		out = append(out, v1alpha1.Refusal{Object: r.Ref.String(), Path: r.Path, Reason: r.Reason})
	}
	return out
}

// expected reasons of not being ready are nothing to warn of.
func expected(reason string) bool {
	return slices.Contains([]string{v1alpha1.ReasonProgressing, v1alpha1.ReasonDeleting, v1alpha1.ReasonRestoreInProgress}, reason)
}

// transition is an event to tell.
type transition struct{ kind, reason, message string }

// transitions between the conditions of two statuses that a person wants to hear of.
func transitions(before, after []metav1.Condition) []transition {
	var out []transition
	old, now := meta.FindStatusCondition(before, v1alpha1.ConditionReady), meta.FindStatusCondition(after, v1alpha1.ConditionReady)
	if now != nil && (old == nil || old.Status != now.Status || old.Reason != now.Reason) {
		kind := corev1.EventTypeNormal
		if now.Status != metav1.ConditionTrue && !expected(now.Reason) {
			kind = corev1.EventTypeWarning
		}
		out = append(out, transition{kind, now.Reason, now.Message})
	}
	return out
}
