package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
)

// defaultHistory is the number of operations that status remembers.
const defaultHistory = 10

// finish writes down how what goes on has ended.
func (r *PolicyReconciler) finish(policy *v1alpha1.BackupPolicy, pass *policyPass, out v1alpha1.BackupOutcome) {
	pass.ended = r.completed(pass.status.Run, out)
	record(policy, &pass.status, *pass.ended)
	find(&pass.status, &pass.status.Run.BackupRequest, *pass.ended)
	pass.status.Run = nil
}

// completed is an outcome that says of what it is.
func (r *PolicyReconciler) completed(run *v1alpha1.BackupRun, out v1alpha1.BackupOutcome) *v1alpha1.BackupOutcome {
	out.Operation, out.ID, out.From, out.InPlace, out.StartedAt = run.Operation, run.ID, run.From, run.InPlace, run.StartedAt
	out.EndedAt = metav1.NewTime(r.Clock().Truncate(time.Second))
	out.Message = bounded(out.Message)
	return &out
}

// record an outcome. It is pure.
func record(policy *v1alpha1.BackupPolicy, status *v1alpha1.BackupPolicyStatus, out v1alpha1.BackupOutcome) {
	most := int(policy.Spec.HistoryLimit)
	if most == 0 {
		most = defaultHistory
	}
	status.History = append([]v1alpha1.BackupOutcome{out}, status.History...)
	status.History = status.History[:min(len(status.History), most)]
	if out.Reason == v1alpha1.ReasonInvalidSpec {
		return // nothing was done
	}
	status.Last = slices.DeleteFunc(slices.Clone(status.Last), func(o v1alpha1.BackupOutcome) bool {
		return o.Operation == out.Operation && o.From == out.From
	})
	status.Last = append(status.Last, out)
	slices.SortFunc(status.Last, func(a, b v1alpha1.BackupOutcome) int {
		return cmp.Or(strings.Compare(string(a.Operation), string(b.Operation)), strings.Compare(a.From, b.From))
	})
	if !out.Succeeded || out.From != "" {
		return
	}
	at := out.StartedAt
	switch {
	case out.Operation == v1alpha1.BackupRunNow:
		status.LastSuccess = &at
		if status.FirstSuccess == nil {
			status.FirstSuccess = &at
		}
	case out.Operation == v1alpha1.BackupTestRestore, out.Operation == v1alpha1.BackupVerify && out.Coverage != "":
		status.LastVerified = &at
	}
}

// judgePolicy concludes a pass. It is pure.
func judgePolicy(policy *v1alpha1.BackupPolicy, pass *policyPass, err error, now time.Time) {
	status := &pass.status
	status.ObservedGeneration = policy.Generation
	forgetCopies(policy, status)
	status.NextRun = nil
	judged := policy.DeepCopy()
	judged.Status = *status
	if all, scheduleErr := appointments(judged, now); scheduleErr == nil && !policy.Spec.Suspend {
		for _, a := range all {
			if a.request.Operation == v1alpha1.BackupRunNow {
				at := metav1.NewTime(a.at)
				status.NextRun = &at
			}
		}
	}
	v := policyVerdict(status, pass, err)
	if err == nil && policy.Spec.Suspend && v.ready {
		v.message += "; what is scheduled is suspended"
	}
	setConditions(&status.Conditions, v, policy.Generation, now)
}

func policyVerdict(status *v1alpha1.BackupPolicyStatus, pass *policyPass, err error) verdict {
	if err != nil {
		return errorVerdict(err)
	}
	for _, s := range pass.seen.Observation.Objects {
		if s.Phase == backend.Failed && s.Ref.Kind == "PersistentVolumeClaim" {
			return verdict{stalled: true, reason: conditionReason(s), message: s.Ref.String() + ": " + s.Message}
		}
	}
	if v, is := restoreVerdict(status, pass); is {
		return v
	}
	if v, is := failureVerdict(status); is {
		return v
	}
	v := verdict{ready: true, reason: v1alpha1.ReasonReady, message: "nothing has been backed up yet"}
	if status.LastSuccess != nil {
		v.message = "last backed up at " + status.LastSuccess.UTC().Format(time.RFC3339)
	}
	switch {
	case status.Run != nil && pass.trouble != "":
		return verdict{reconciling: true, reason: v1alpha1.ReasonBackupFailed, message: string(status.Run.Operation) + " can't start: " + pass.trouble}
	case status.Run != nil:
		v.message += "; " + string(status.Run.Operation) + " goes on"
	case pass.waiting != "":
		v.message += "; " + pass.waiting
	case status.NextRun != nil:
		v.message += "; next at " + status.NextRun.UTC().Format(time.RFC3339)
	}
	return v
}

// failureVerdict is that on a policy of which something failed and has not been made up for: what was found about what is kept
// comes first.
func failureVerdict(status *v1alpha1.BackupPolicyStatus) (verdict, bool) {
	if len(status.Findings) > 0 {
		text := findingText(&status.Findings[0])
		if more := len(status.Findings) - 1; more > 0 {
			text += fmt.Sprintf("; status.findings has %d more", more)
		}
		return verdict{stalled: true, reason: v1alpha1.ReasonVerificationFailed, message: text}, true
	}
	for _, o := range status.Last {
		if o.Succeeded || madeUpFor(o, status.Last) {
			continue
		}
		text := fmt.Sprintf("%s of %s failed: %s: %s", o.Operation, o.StartedAt.UTC().Format(time.RFC3339), o.Reason, o.Message)
		if o.From != "" {
			text = "copy " + o.From + ": " + text
		}
		switch {
		case lost(o) && (o.Operation == v1alpha1.BackupRunNow || proves(o.Operation)):
			return verdict{stalled: true, reason: v1alpha1.ReasonRepositoryMissing, message: text}, true
		case o.InPlace && !damaging(o.Reason):
			return verdict{reconciling: true, reason: v1alpha1.ReasonRestoreFailed, message: text}, true
		case o.Operation == v1alpha1.BackupRunNow:
			return verdict{reconciling: true, reason: v1alpha1.ReasonBackupFailed, message: text}, true
		case proves(o.Operation) && !damaging(o.Reason): // else it has been cleared
			return verdict{reconciling: true, reason: v1alpha1.ReasonVerificationIncomplete, message: text}, true
		}
	}
	return verdict{}, false
}

// proves tells whether an operation says something of what is kept.
func proves(operation v1alpha1.BackupOperation) bool {
	return operation == v1alpha1.BackupVerify || operation == v1alpha1.BackupTestRestore
}

// restoreVerdict is that on a policy that restores in place.
func restoreVerdict(status *v1alpha1.BackupPolicyStatus, pass *policyPass) (verdict, bool) {
	restore := status.Restore
	if status.Run == nil || !status.Run.InPlace || restore == nil {
		return verdict{}, false
	}
	trouble := cmp.Or(pass.trouble, restore.Message)
	v := verdict{reconciling: true, reason: v1alpha1.ReasonRestoreInProgress}
	v.message = fmt.Sprintf("volume %s is restored in place (%s)", restore.Volume, restore.Phase)
	if trouble != "" {
		v.message += fmt.Sprintf("; attempt %d: %s", restore.Attempts, trouble)
	}
	return v, true
}

// madeUpFor is a restore in place that failed, or a repository that was not there, when something that was begun later has succeeded;
// and a copy that could not be looked at when a run has made it equal.
func madeUpFor(failed v1alpha1.BackupOutcome, last []v1alpha1.BackupOutcome) bool {
	by := func(v1alpha1.BackupOutcome) bool { return true }
	switch {
	case failed.From != "" && !damaging(failed.Reason):
		by = func(o v1alpha1.BackupOutcome) bool { return o.Operation == v1alpha1.BackupRunNow }
	case failed.InPlace, proves(failed.Operation) && lost(failed):
	default:
		return false
	}
	return slices.ContainsFunc(last, func(o v1alpha1.BackupOutcome) bool {
		return o.Succeeded && o.From == "" && !o.StartedAt.Before(&failed.EndedAt) && by(o)
	})
}
