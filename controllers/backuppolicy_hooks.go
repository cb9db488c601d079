package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// Stages of hooks.
const (
	stagePre  = "pre"
	stagePost = "post"
)

// podPeriod is how often a hook looks for a pod that is ready.
const podPeriod = 300 * time.Millisecond

// hooks runs what is due of them, and tells whether it is the Job's turn. Each has its place in the status as soon as it has
// ended, before the next one begins: an operator that was killed repeats the one that went on, and no other. Hooks after the
// run follow however it ended, so that what those before it have stopped goes on again.
func (r *PolicyReconciler) hooks(policy *v1alpha1.BackupPolicy, stack *v1alpha1.MockupStack, pass *policyPass) (job bool) {
	run := pass.status.Run
	if run == nil || run.Operation != v1alpha1.BackupRunNow {
		return run != nil
	}
	if run.Outcome == nil {
		failed := failedHooks(run, stagePre, false)
		switch {
		case failed != "":
			r.settle(policy, pass, v1alpha1.BackupOutcome{Reason: v1alpha1.ReasonHookFailed, Message: failed + "; nothing was backed up"})
		case r.hook(policy, stack, pass, stagePre, policy.Spec.Hooks.Pre):
			return false
		default:
			return true
		}
	}
	if pass.status.Run != nil && !r.hook(policy, stack, pass, stagePost, policy.Spec.Hooks.Post) {
		r.finish(policy, pass, withHooks(run))
	}
	return false
}

// settle how a run ended: at once where no hook comes after it.
func (r *PolicyReconciler) settle(policy *v1alpha1.BackupPolicy, pass *policyPass, out v1alpha1.BackupOutcome) {
	run := pass.status.Run
	if run.Operation != v1alpha1.BackupRunNow {
		r.finish(policy, pass, out)
		return
	}
	run.Outcome, pass.stepped = r.completed(run, out), true
	if len(policy.Spec.Hooks.Post) == 0 {
		r.finish(policy, pass, withHooks(run))
	}
}

// hook runs the next one of a stage beside the pass; false if there is none. What has ended is noted, for the status to be
// written before the next one.
func (r *PolicyReconciler) hook(policy *v1alpha1.BackupPolicy, stack *v1alpha1.MockupStack, pass *policyPass, stage string, all []v1alpha1.BackupHook) bool {
	run, done := pass.status.Run, 0
	for _, h := range run.Hooks {
		if h.Stage == stage {
			done++
		}
	}
	if done >= len(all) {
		return false
	}
	hook := all[done]
	id := fmt.Sprintf("%s %s %s %d", run.ID, run.StartedAt.UTC().Format(time.RFC3339), stage, done)
	ended := r.hooking.outcome(client.ObjectKeyFromObject(policy), id, func(ctx context.Context) v1alpha1.BackupHookOutcome {
		err := r.runHook(ctx, policy, stack, &hook)
		out := v1alpha1.BackupHookOutcome{Stage: stage, Service: hook.Service, Succeeded: err == nil, EndedAt: metav1.NewTime(r.Clock().Truncate(time.Second))}
		if err != nil {
			out.Message, out.Ignored = err.Error(), hook.OnError == v1alpha1.BackupHookContinue
		}
		return out
	})
	if ended != nil {
		run.Hooks = append(run.Hooks, *ended)
		pass.hooked = ended
	}
	return true
}

// runHook runs a program in a pod of a service that is ready. The error bears no secret.
func (r *PolicyReconciler) runHook(ctx context.Context, policy *v1alpha1.BackupPolicy, stack *v1alpha1.MockupStack, hook *v1alpha1.BackupHook) error {
	timeout := manifests.BackupHookTimeout(hook)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pod, err := r.awaitPod(ctx, stack, hook.Service)
	if err != nil {
		return fmt.Errorf("no pod was ready within %s", timeout)
	}
	var printed ending
	code, err := r.Backend.Pods().Exec(ctx, pod, backend.ExecRequest{
		Container: manifests.ServiceName(stack.Name, hook.Service), Command: hook.Command, Stdout: &printed, Stderr: &printed,
	})
	if ctx.Err() != nil {
		err = fmt.Errorf("it took longer than %s", timeout)
	}
	switch {
	case err == nil && code == 0:
		return nil
	case err == nil:
		err = fmt.Errorf("exit code %d", code)
	}
	return r.covered(policy, stack, err, printed.String())
}

// awaitPod waits for a pod of a service that is ready.
func (r *PolicyReconciler) awaitPod(ctx context.Context, stack *v1alpha1.MockupStack, service string) (backend.PodRef, error) {
	ticker := time.NewTicker(podPeriod)
	defer ticker.Stop()
	for {
		if pod, ok := r.sightings.ready(stack, service); ok {
			return pod, nil
		}
		select {
		case <-ctx.Done():
			return backend.PodRef{}, ctx.Err()
		case <-ticker.C:
		}
	}
}

// covered is err with the end of what was printed, without the values of Secrets that the stack and the policy refer to. Where
// those can't be read, nothing of it is told.
func (r *PolicyReconciler) covered(policy *v1alpha1.BackupPolicy, stack *v1alpha1.MockupStack, err error, printed string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	refs := append(manifests.BackupReferences(policy), manifests.StackReferences(stack)...)
	secrets, _, readErr := r.references.read(ctx, policy.Namespace, refs)
	if readErr != nil {
		return errors.New("its Secrets can't be read, so what it printed is not told")
	}
	text := err.Error()
	if printed != "" {
		text += ": " + printed
	}
	return errors.New(shortened(cover(text, secrets)))
}

// failedHooks of a stage in words, those that count or those that are ignored; empty for none.
func failedHooks(run *v1alpha1.BackupRun, stage string, ignored bool) string {
	var out string
	for _, h := range run.Hooks {
		if h.Stage == stage && !h.Succeeded && h.Ignored == ignored {
			out = joined(out, hookFailure(&h))
		}
	}
	return out
}

func hookFailure(h *v1alpha1.BackupHookOutcome) string {
	return fmt.Sprintf("%s hook in service %s failed: %s", h.Stage, h.Service, h.Message)
}

// withHooks is the outcome of a run and of the hooks around it.
func withHooks(run *v1alpha1.BackupRun) v1alpha1.BackupOutcome {
	out := *run.Outcome
	if failed := failedHooks(run, stagePost, false); failed != "" {
		if out.Succeeded {
			out.Succeeded, out.Reason = false, v1alpha1.ReasonHookFailed
		}
		out.Message = joined(out.Message, failed)
	}
	out.Message = joined(out.Message, failedHooks(run, stagePre, true))
	out.Message = joined(out.Message, failedHooks(run, stagePost, true))
	return out
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// tellHook reports a hook that failed, whether or not that counts.
func (r *PolicyReconciler) tellHook(policy *v1alpha1.BackupPolicy, h *v1alpha1.BackupHookOutcome) {
	if h != nil && !h.Succeeded {
		r.events.Eventf(policy, nil, corev1.EventTypeWarning, v1alpha1.ReasonHookFailed, "Backup", "%s", hookFailure(h))
	}
}

// farewell runs the hooks after a run that is cut short by the end of its policy, when its Job is gone; true when there is
// nothing more to do.
func (r *PolicyReconciler) farewell(ctx context.Context, policy *v1alpha1.BackupPolicy) (bool, error) {
	run := policy.Status.Run
	if run == nil || run.Operation != v1alpha1.BackupRunNow || len(policy.Spec.Hooks.Post) == 0 {
		return true, nil
	}
	stack := &v1alpha1.MockupStack{}
	err := r.client.Get(ctx, types.NamespacedName{Namespace: policy.Namespace, Name: policy.Spec.StackRef.Name}, stack)
	if apierrors.IsNotFound(err) || err == nil && !stack.DeletionTimestamp.IsZero() {
		return true, nil // with its services
	}
	if err != nil {
		return false, fmt.Errorf("reading the stack: %w", err)
	}
	seen, err := r.Backend.Apply(ctx, manifests.BackupRemoval(policy))
	if err != nil {
		return false, &backendError{err}
	}
	if len(leftover(seen)) > 0 {
		return false, nil
	}
	pass := policyPass{status: *policy.Status.DeepCopy()}
	if pass.status.Run.Outcome == nil {
		pass.status.Run.Outcome = r.completed(run, v1alpha1.BackupOutcome{Reason: v1alpha1.ReasonDeleting, Message: "the policy is being deleted"})
	}
	if !r.hook(policy, stack, &pass, stagePost, policy.Spec.Hooks.Post) {
		return true, nil
	}
	if err := r.writeStatus(ctx, policy, pass.status, nil); err != nil {
		return false, err
	}
	r.tellHook(policy, pass.hooked)
	return false, nil
}
