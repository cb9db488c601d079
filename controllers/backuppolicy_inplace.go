package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// A restore in place is an agreement of two controllers, each of which writes only the status of its own resource:
//
//	policy: status.restore StoppingServices ──▶ stack: no replicas for who mounts the volume, Ready=False (RestoreInProgress)
//	policy: Job, attempt 1, 2, …            ◀── stack: status.volumes[].releasedFor, when the last of their pods has gone
//	policy: Succeeded, RolledBack or Failed ──▶ stack: replicas as specified
//
// Everything that is decided stands in the status before it is done. As long as the volume may be half restored, the phase is
// none of the last three, whatever dies: another attempt goes on, by the journal that the program keeps beside its snapshots.
const (
	// stopPatience is how long services may take to stop, before anything is touched.
	stopPatience = 15 * time.Minute
	// forwardAttempts are begun to restore, if each ends without a result; those that follow restore the safety snapshot.
	forwardAttempts = 4
	// longestRetry is the longest pause between two attempts.
	longestRetry = 5 * time.Minute
)

// beginRestore notes down that services have to stop.
func beginRestore(status *v1alpha1.BackupPolicyStatus, stack *v1alpha1.MockupStack) {
	run := status.Run
	claim, adopted := manifests.StackClaim(stack, run.Volume)
	run.Job = "" // the first is made when the services have stopped
	status.Restore = &v1alpha1.InPlaceRestore{
		ID: run.ID, Volume: run.Volume, Claim: claim, Adopted: adopted, Phase: v1alpha1.RestoreStoppingServices, StartedAt: run.StartedAt,
	}
}

// halfway tells whether a volume may be half restored, so that the policy can't go, nor what goes on be forgotten.
func halfway(status *v1alpha1.BackupPolicyStatus) bool {
	return status.Run != nil && status.Run.InPlace && status.Restore != nil && status.Restore.Attempts > 0
}

// trying tells whether the Job of what goes on is to be there.
func trying(status *v1alpha1.BackupPolicyStatus) bool {
	return !status.Run.InPlace || status.Restore.Attempts > 0 && status.Restore.NextAttempt == nil
}

// followRestore looks how far a restore in place has come, and decides what is next.
func (r *PolicyReconciler) followRestore(ctx context.Context, policy *v1alpha1.BackupPolicy, pass *policyPass) error {
	restore := pass.status.Restore
	switch {
	case restore.Attempts == 0:
		return r.awaitRelease(ctx, policy, pass)
	case restore.NextAttempt != nil:
		r.tryAgain(policy, pass)
	default:
		r.watchAttempt(ctx, policy, pass)
	}
	return nil
}

// awaitRelease begins the first attempt when every stack that has the volume says that it mounts it no more.
func (r *PolicyReconciler) awaitRelease(ctx context.Context, policy *v1alpha1.BackupPolicy, pass *policyPass) error {
	restore := pass.status.Restore
	var stacks v1alpha1.MockupStackList
	if err := r.references.live.List(ctx, &stacks); err != nil {
		return fmt.Errorf("listing stacks: %w", err)
	}
	holder := r.holder(policy, restore, stacks.Items)
	switch {
	case holder == "":
		restore.Phase = v1alpha1.RestoreTakingSafetySnapshot
		r.attempt(policy, pass)
	case r.Clock().After(restore.StartedAt.Add(stopPatience)):
		r.abandon(policy, pass, v1alpha1.ReasonRestoreFailed, fmt.Sprintf("%s did not stop what mounts volume %s within %s: nothing was touched", holder, restore.Volume, stopPatience))
	}
	return nil
}

// holder is a stack of which a pod may mount the volume still; empty if there is none.
func (r *PolicyReconciler) holder(policy *v1alpha1.BackupPolicy, restore *v1alpha1.InPlaceRestore, stacks []v1alpha1.MockupStack) string {
	restoring := policy.DeepCopy()
	restoring.Status.Restore = restore
	id := manifests.RestoredID(restoring, r.OneHost)
	want := manifests.Restoring{Policy: keyOf(policy), Token: manifests.RestoreToken(restore)}.For()
	for i := range stacks {
		released := map[string]string{}
		for _, v := range stacks[i].Status.Volumes {
			released[v.Name] = v.ReleasedFor
		}
		for _, name := range volumesOf(&stacks[i], id, r.OneHost) {
			if released[name] != want {
				return "MockupStack " + keyOf(&stacks[i])
			}
		}
	}
	return ""
}

// attempt begins the next one. Its Job is made when that stands in the status.
func (r *PolicyReconciler) attempt(policy *v1alpha1.BackupPolicy, pass *policyPass) {
	restore, now := pass.status.Restore, metav1.NewTime(r.Clock().Truncate(time.Second))
	restore.Attempts++
	restore.AttemptedAt, restore.NextAttempt = &now, nil
	pass.status.Run.Job = manifests.RestoreJobName(policy.Name, &pass.status.Run.BackupRequest, restore)
	pass.status.Run.Pod = ""
	pass.stepped = true
}

// tryAgain when it is time, and nothing of the last attempt runs any more.
func (r *PolicyReconciler) tryAgain(policy *v1alpha1.BackupPolicy, pass *policyPass) {
	restore := pass.status.Restore
	for _, s := range pass.seen.Observation.Objects {
		if s.Ref.Kind == "Job" {
			return
		}
	}
	switch {
	case restore.Abandoned:
		r.abandon(policy, pass, v1alpha1.ReasonRestoreFailed, restore.Message)
	case !r.Clock().Before(restore.NextAttempt.Time):
		r.attempt(policy, pass)
	}
}

// watchAttempt takes over how far an attempt has come, and how it ended: with one of the ends, or not, so that another follows.
func (r *PolicyReconciler) watchAttempt(ctx context.Context, policy *v1alpha1.BackupPolicy, pass *policyPass) {
	restore := pass.status.Restore
	h, found := r.hear(ctx, policy, pass)
	if !found || h.over && h.unheard {
		return
	}
	if p := h.line.Progress; p != nil {
		restore.Phase = cmp.Or(restorePhase(p.Stage, p.Phase), restore.Phase)
	}
	deadline := manifests.BackupDeadline(policy)
	switch result := h.line.Result; {
	case h.over && result != nil:
		r.attemptEnded(policy, pass, h, result)
	case h.over:
		r.again(pass, h.state, "it ended without a result: "+h.state.Message)
	case !hopeless(h.state, restore.AttemptedAt.Time, deadline, r.Clock()):
	case restore.Attempts == 1 && pass.status.Run.Pod == "":
		restore.Abandoned = true
		r.again(pass, h.state, "the Job can't be started: "+h.state.Reason+": "+h.state.Message)
	default:
		r.again(pass, h.state, "the Job was given up: "+h.state.Message)
	}
}

// attemptEnded by itself. Before the first one has looked at the journal, nothing was touched.
func (r *PolicyReconciler) attemptEnded(policy *v1alpha1.BackupPolicy, pass *policyPass, h heard, result *backupResult) {
	restore, phase := pass.status.Restore, v1alpha1.RestorePhase("")
	switch in := result.InPlace; {
	case in != nil:
		phase = v1alpha1.RestorePhase(in.Phase)
		restore.Snapshot, restore.SafetySnapshot = cmp.Or(in.Snapshot, restore.Snapshot), cmp.Or(in.Safety, restore.SafetySnapshot)
	case restore.Attempts == 1:
		phase = v1alpha1.RestoreFailed
	}
	if !phase.Over() {
		restore.Phase = cmp.Or(restorePhase(string(phase), ""), restore.Phase)
		r.again(pass, h.state, result.Reason+": "+result.Error)
		return
	}
	r.endRestore(pass, phase, result.Error)
	r.conclude(policy, pass, result)
}

// again after a while. Whoever takes too long, or ends without a result time and again, is told to restore what was there
// before.
func (r *PolicyReconciler) again(pass *policyPass, state backend.State, why string) {
	restore := pass.status.Restore
	next := metav1.NewTime(r.Clock().Add(retryPause(restore.Attempts)).Truncate(time.Second))
	restore.NextAttempt, restore.Message = &next, bounded(why)
	restore.RollBack = restore.RollBack || state.Reason == backend.ReasonJobDeadline || restore.Attempts >= forwardAttempts
	pass.stepped = true
}

// retryPause after so many attempts: services are stopped meanwhile, so that the first are short.
func retryPause(attempts int32) time.Duration {
	return min(time.Second<<min(attempts, 20), longestRetry)
}

// abandon a restore that has touched nothing.
func (r *PolicyReconciler) abandon(policy *v1alpha1.BackupPolicy, pass *policyPass, reason, message string) {
	r.endRestore(pass, v1alpha1.RestoreFailed, message)
	r.finish(policy, pass, v1alpha1.BackupOutcome{Reason: reason, Message: message})
}

// dropRestore that has touched nothing yet when the policy has come to make no sense, or misses something: that may last, and
// services are stopped.
func (r *PolicyReconciler) dropRestore(policy *v1alpha1.BackupPolicy, pass *policyPass, err error) {
	run := pass.status.Run
	if run == nil || !run.InPlace || halfway(&pass.status) || err == nil {
		return
	}
	if v := errorVerdict(err); v.stalled {
		r.abandon(policy, pass, v.reason, err.Error())
	}
}

// endRestore lets the services start again.
func (r *PolicyReconciler) endRestore(pass *policyPass, phase v1alpha1.RestorePhase, message string) {
	restore, now := pass.status.Restore, metav1.NewTime(r.Clock().Truncate(time.Second))
	restore.Phase, restore.EndedAt, restore.NextAttempt, restore.Message = phase, &now, nil, bounded(message)
}

// interrupted is a restore whose stack has gone, and its Job with it. It goes on when the stack is there again, before
// anybody mounts the volume.
func (r *PolicyReconciler) interrupted(pass *policyPass, gone error) {
	restore, now := pass.status.Restore, metav1.NewTime(r.Clock().Truncate(time.Second))
	if restore.NextAttempt == nil {
		restore.NextAttempt = &now
	}
	restore.Message = bounded(fmt.Sprintf("%s: volume %s may be half restored, and is restored when the stack is there again", gone, restore.Volume))
}

// restorePhase in the words of the status; empty for what is none.
func restorePhase(stage, phase string) v1alpha1.RestorePhase {
	switch p := v1alpha1.RestorePhase(stage); p {
	case v1alpha1.RestoreRestoring:
		if phase == "compare" {
			return v1alpha1.RestoreComparing
		}
		return p
	case v1alpha1.RestoreTakingSafetySnapshot, v1alpha1.RestoreRollingBack:
		return p
	}
	return ""
}

// bounded is a message that fits into a status.
func bounded(message string) string {
	if len(message) > 2000 {
		return message[:2000] + " …"
	}
	return message
}

// contended takes the volumes that a run reads, or that a restore in place writes to, or says who has them. Runs may read
// side by side.
func (r *PolicyReconciler) contended(ctx context.Context, policy *v1alpha1.BackupPolicy, stack *v1alpha1.MockupStack, request *v1alpha1.BackupRequest) (string, error) {
	volumes := policy.Spec.Volumes
	switch {
	case request.InPlace:
		volumes = []v1alpha1.VolumeName{v1alpha1.VolumeName(request.Volume)}
	case request.Operation != v1alpha1.BackupRunNow:
		return "", nil
	}
	var all v1alpha1.BackupPolicyList
	if err := r.client.List(ctx, &all); err != nil {
		return "", fmt.Errorf("listing policies: %w", err)
	}
	var stacks v1alpha1.MockupStackList
	if err := r.client.List(ctx, &stacks); err != nil {
		return "", fmt.Errorf("listing stacks: %w", err)
	}
	for i := range all.Items {
		other := &all.Items[i]
		if keyOf(other) == keyOf(policy) {
			continue
		}
		for _, v := range volumes {
			if r.restores(other, stack, v) || request.InPlace && reads(other, stacks.Items, manifests.VolumeID(stack, string(v), r.OneHost), r.OneHost) {
				return fmt.Sprintf("policy %s works on volume %s", keyOf(other), v), nil
			}
		}
	}
	for _, v := range volumes {
		resource := "volume " + manifests.VolumeID(stack, string(v), r.OneHost)
		if by, ok := r.taken.take(resource, client.ObjectKeyFromObject(policy), !request.InPlace); !ok {
			return fmt.Sprintf("policy %s works on volume %s", by, v), nil
		}
	}
	return "", nil
}

// restores tells whether p restores a volume of a stack in place now.
func (r *PolicyReconciler) restores(p *v1alpha1.BackupPolicy, stack *v1alpha1.MockupStack, volume v1alpha1.VolumeName) bool {
	restore := p.Status.Restore
	return restore != nil && !restore.Phase.Over() && manifests.RestoredID(p, r.OneHost) == manifests.VolumeID(stack, string(volume), r.OneHost)
}

// reads tells whether p backs up a volume now, which may be another stack's that has adopted it.
func reads(p *v1alpha1.BackupPolicy, stacks []v1alpha1.MockupStack, id string, oneHost bool) bool {
	run := p.Status.Run
	if run == nil || run.Operation != v1alpha1.BackupRunNow {
		return false
	}
	return slices.ContainsFunc(stacks, func(s v1alpha1.MockupStack) bool {
		return s.Namespace == p.Namespace && s.Name == p.Spec.StackRef.Name &&
			slices.ContainsFunc(p.Spec.Volumes, func(v v1alpha1.VolumeName) bool { return manifests.VolumeID(&s, string(v), oneHost) == id })
	})
}
