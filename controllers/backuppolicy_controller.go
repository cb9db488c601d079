package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/passwords"
	"mockup.dev/mockup/manifests"
)

// Names of the controller, who reports events, and of the finalizer.
const (
	policyController = "backuppolicy"
	policyFinalizer  = "mockup.dev/backup"
)

const (
	// progressPeriod is how often the progress of a run is read, and written down.
	progressPeriod = 5 * time.Second
	// longestSleep before the clock is looked at again: it may have been set.
	longestSleep = 10 * time.Minute
)

// +kubebuilder:rbac:groups=mockup.dev,resources=backuppolicies,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=mockup.dev,resources=backuppolicies/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=mockup.dev,resources=backuppolicies/finalizers,verbs=update

// PolicyReconciler brings BackupPolicies to life.
type PolicyReconciler struct {
	base
	taken     *taken
	figures   policyFigures
	hooking   *hooking
	sightings *sightings
	silence   *silence
}

// Reconcile is one pass: gather, begin what is due, render, apply, follow what goes on, write the status once. What has begun
// stands in the status before there is a Job for it, so that an operator that was killed goes on with it.
func (r *PolicyReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	policy := &v1alpha1.BackupPolicy{}
	if err := r.get(ctx, req.NamespacedName, policy); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !policy.DeletionTimestamp.IsZero() && !halfway(&policy.Status) {
		return r.remove(ctx, policy)
	}
	if err := r.hold(ctx, policy); err != nil {
		return reconcile.Result{}, err
	}
	pass := policyPass{status: *policy.Status.DeepCopy()}
	facts, err := r.gather(ctx, policy, &pass)
	var look time.Time
	if err == nil {
		look, err = r.begin(ctx, policy, facts, &pass)
	}
	if err == nil && pass.began {
		return reconcile.Result{RequeueAfter: time.Millisecond}, r.writeStatus(ctx, policy, pass.status, nil)
	}
	if err == nil {
		err = r.follow(ctx, policy, facts, &pass)
	}
	r.dropRestore(policy, &pass, err)
	judgePolicy(policy, &pass, err, r.Clock())
	r.figures.note(policy, &pass.status)
	if err := r.writeStatus(ctx, policy, pass.status, pass.ended); err != nil {
		return reconcile.Result{}, err
	}
	r.tellHook(policy, pass.hooked)
	if err := retryable(err); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: r.sleep(pass, look)}, nil
}

// sleep until there is something to look at.
func (r *PolicyReconciler) sleep(pass policyPass, look time.Time) time.Duration {
	switch {
	case pass.ended != nil, pass.stepped, pass.hooked != nil:
		return time.Millisecond // its Job can go or come, and what waits or comes next may begin
	case pass.status.Run != nil && r.young(pass.status.Run):
		return time.Second // most are over soon
	case pass.status.Run != nil:
		return progressPeriod
	case pass.waiting != "":
		return progressPeriod
	case look.IsZero():
		return longestSleep
	}
	return min(max(look.Sub(r.Clock()), time.Millisecond), longestSleep)
}

// young tells whether something has just begun, so that its progress is of no interest yet.
func (r *PolicyReconciler) young(run *v1alpha1.BackupRun) bool {
	return r.Clock().Before(run.StartedAt.Add(progressPeriod))
}

// policyPass is what a pass finds out.
type policyPass struct {
	status v1alpha1.BackupPolicyStatus
	seen   observed
	// began is true when something was begun, and ended is how something ended.
	began bool
	ended *v1alpha1.BackupOutcome
	// stepped is true when something was decided that is done in the next pass, when it stands in the status.
	stepped bool
	// hooked is how a hook ended.
	hooked *v1alpha1.BackupHookOutcome
	// waiting says what something that is due waits for, trouble what keeps a Job from starting.
	waiting, trouble string
}

// gather reads what rendering the policy depends on, and makes its password, once.
func (r *PolicyReconciler) gather(ctx context.Context, policy *v1alpha1.BackupPolicy, pass *policyPass) (manifests.BackupFacts, error) {
	facts := manifests.BackupFacts{Images: r.Images, Stack: &v1alpha1.MockupStack{}}
	key := types.NamespacedName{Namespace: policy.Namespace, Name: policy.Spec.StackRef.Name}
	err := r.client.Get(ctx, key, facts.Stack)
	if apierrors.IsNotFound(err) || err == nil && !facts.Stack.DeletionTimestamp.IsZero() {
		return facts, r.withoutStack(ctx, policy, pass, &stackNotFoundError{name: key.Name, deleting: err == nil, backups: true})
	}
	if err != nil {
		return facts, fmt.Errorf("reading MockupStack %s: %w", key, err)
	}
	refs := manifests.BackupReferences(policy)
	if err := r.ensurePassword(ctx, policy, refs[0], pass); err != nil {
		return facts, err
	}
	facts.Secrets, _, err = r.references.read(ctx, policy.Namespace, refs)
	return facts, err
}

// withoutStack ends what goes on, since it is on the stack's networks. Repository and volumes stay.
func (r *PolicyReconciler) withoutStack(ctx context.Context, policy *v1alpha1.BackupPolicy, pass *policyPass, gone error) error {
	if _, err := r.Backend.Apply(ctx, manifests.BackupRemoval(policy).Retaining()); err != nil {
		return &backendError{err}
	}
	switch run := pass.status.Run; {
	case run == nil:
	case run.Outcome != nil:
		r.finish(policy, pass, withHooks(run))
	case halfway(&pass.status):
		r.interrupted(pass, gone)
	case run.InPlace:
		r.abandon(policy, pass, v1alpha1.ReasonStackNotFound, gone.Error())
	default:
		r.finish(policy, pass, v1alpha1.BackupOutcome{Reason: v1alpha1.ReasonStackNotFound, Message: gone.Error()})
	}
	return gone
}

// ensurePassword makes the password of the repository where the policy names none. It belongs to nobody, so that it outlives
// the policy as the repository does, and it is made once: another one would open nothing.
func (r *PolicyReconciler) ensurePassword(ctx context.Context, policy *v1alpha1.BackupPolicy, ref manifests.Reference, pass *policyPass) error {
	made := pass.status.PasswordSecret
	pass.status.PasswordSecret = ref.Name
	if !ref.Generated || made == ref.Name {
		return nil
	}
	found, err := r.references.secret(ctx, policy.Namespace, ref.Name)
	if err != nil || found != nil {
		return err
	}
	secret := passwords.New(policy.Namespace, ref.Name, ref.Keys[0])
	secret.Labels = map[string]string{manifests.LabelManagedBy: manifests.ManagedBy}
	if err := r.client.Create(ctx, secret); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("writing Secret %s: %w", ref.Name, err)
	}
	r.events.Eventf(policy, nil, corev1.EventTypeNormal, "PasswordMade", "Reconcile",
		"Secret %s has the password of the repository: keep a copy of it elsewhere, since no backup can be read without it", ref.Name)
	return nil
}

// begin what is due, if it can be; look is when to look again.
func (r *PolicyReconciler) begin(ctx context.Context, policy *v1alpha1.BackupPolicy, facts manifests.BackupFacts, pass *policyPass) (look time.Time, err error) {
	if pass.status.Run != nil {
		return time.Time{}, nil
	}
	if err := r.unshared(ctx, policy); err != nil {
		return time.Time{}, err
	}
	now := r.Clock()
	request, look, err := next(policy, now)
	asked := policy.Annotations[manifests.AnnotationBackupRequest]
	var wrong *manifests.InvalidError
	if request != nil && err == nil {
		err = r.possible(ctx, policy, request)
	}
	if asked != pass.status.HandledRequest && errors.As(err, &wrong) {
		r.refuse(policy, pass, request, asked, err)
		return now, nil
	}
	if request == nil || err != nil {
		return look, err
	}
	if pass.waiting = unready(policy, facts.Stack, request); pass.waiting != "" {
		return look, nil
	}
	if pass.waiting, err = r.occupied(ctx, policy, facts.Stack, request); err != nil || pass.waiting != "" {
		r.taken.release(client.ObjectKeyFromObject(policy))
		return look, err
	}
	pass.began = true
	pass.status.HandledRequest = asked
	pass.status.Run = &v1alpha1.BackupRun{BackupRequest: *request, StartedAt: metav1.NewTime(now.Truncate(time.Second)), Job: manifests.BackupJobName(policy.Name, request)}
	if request.InPlace {
		beginRestore(&pass.status, facts.Stack)
	}
	return now, nil
}

// possible tells what is wrong with a request, by itself and by what there is beside.
func (r *PolicyReconciler) possible(ctx context.Context, policy *v1alpha1.BackupPolicy, request *v1alpha1.BackupRequest) error {
	err := manifests.ValidateBackupRequest(policy, request)
	if err != nil || request.Operation != v1alpha1.BackupRestore || request.InPlace {
		return err
	}
	var stacks v1alpha1.MockupStackList
	if err := r.references.live.List(ctx, &stacks); err != nil {
		return fmt.Errorf("listing stacks: %w", err)
	}
	var policies v1alpha1.BackupPolicyList
	if err := r.client.List(ctx, &policies); err != nil {
		return fmt.Errorf("listing policies: %w", err)
	}
	return manifests.ValidateRestoreTarget(policy, request, stacks.Items, policies.Items, r.OneHost)
}

// refuse a request that makes no sense, once.
func (r *PolicyReconciler) refuse(policy *v1alpha1.BackupPolicy, pass *policyPass, request *v1alpha1.BackupRequest, asked string, err error) {
	at := metav1.NewTime(r.Clock().Truncate(time.Second))
	if request == nil {
		request = &v1alpha1.BackupRequest{ID: "unreadable", Operation: v1alpha1.BackupBrowse}
	}
	pass.status.HandledRequest = asked
	pass.status.Run = &v1alpha1.BackupRun{BackupRequest: *request, StartedAt: at}
	r.finish(policy, pass, v1alpha1.BackupOutcome{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()})
}

// unready says which volume a run, or a restore in place, has to wait for: one that is not there would be made by Podman, empty.
func unready(policy *v1alpha1.BackupPolicy, stack *v1alpha1.MockupStack, request *v1alpha1.BackupRequest) string {
	names := policy.Spec.Volumes
	switch {
	case request.InPlace:
		names = []v1alpha1.VolumeName{v1alpha1.VolumeName(request.Volume)}
	case request.Operation != v1alpha1.BackupRunNow:
		return ""
	}
	ready := map[string]bool{}
	for _, v := range stack.Status.Volumes {
		ready[v.Name] = v.Phase == "Ready"
	}
	for _, name := range names {
		if !ready[string(name)] {
			return fmt.Sprintf("volume %s of stack %s is not there yet", name, stack.Name)
		}
	}
	return ""
}

// follow renders the policy with what goes on, applies it, and looks how far that has come.
func (r *PolicyReconciler) follow(ctx context.Context, policy *v1alpha1.BackupPolicy, facts manifests.BackupFacts, pass *policyPass) error {
	if r.hooks(policy, facts.Stack, pass) && trying(&pass.status) {
		facts.Request, facts.Restore = &pass.status.Run.BackupRequest, pass.status.Restore
	}
	facts.Known = manifests.BackupKnown{
		MustExist: pass.status.FirstSuccess != nil, RepositoryID: pass.status.RepositoryID, NoPruning: damaged(&pass.status),
	}
	set, err := manifests.Backup(policy, facts)
	if err != nil && facts.Request != nil && !facts.Request.InPlace && manifests.AboutRequest(err) {
		r.finish(policy, pass, v1alpha1.BackupOutcome{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}) // a stack has come that has the same
		return nil
	}
	if err != nil {
		return err
	}
	seen, err := r.Backend.Apply(ctx, set)
	if err != nil {
		return &backendError{err}
	}
	pass.seen = observed{Set: set, Observation: seen}
	pass.status.Refusals = refusals(seen.Refused)
	switch run := pass.status.Run; {
	case run == nil:
	case run.InPlace:
		return r.followRestore(ctx, policy, pass)
	case facts.Request != nil:
		r.look(ctx, policy, pass)
	}
	return nil
}

// remove takes everything of the policy away but its repository, and lets it go when nothing else is left.
func (r *PolicyReconciler) remove(ctx context.Context, policy *v1alpha1.BackupPolicy) (reconcile.Result, error) {
	if done, err := r.farewell(ctx, policy); err != nil {
		return reconcile.Result{}, err
	} else if !done {
		return reconcile.Result{RequeueAfter: podPeriod}, nil
	}
	live, released, err := r.release(ctx, policy, manifests.BackupRemoval(policy))
	if released {
		r.forget(client.ObjectKeyFromObject(policy))
		return reconcile.Result{}, nil
	}
	status := *policy.Status.DeepCopy()
	status.ObservedGeneration = policy.Generation
	setConditions(&status.Conditions, removalVerdict(live, err), policy.Generation, r.Clock())
	if err := r.writeStatus(ctx, policy, status, nil); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, err
}

func (r *PolicyReconciler) forget(policy types.NamespacedName) {
	r.taken.release(policy)
	r.figures.forget(policy)
	r.hooking.forget(policy)
	r.silence.broken(policy)
}

// writeStatus patches the status if it differs, and tells how something ended.
func (r *PolicyReconciler) writeStatus(ctx context.Context, policy *v1alpha1.BackupPolicy, status v1alpha1.BackupPolicyStatus, ended *v1alpha1.BackupOutcome) error {
	if equality.Semantic.DeepEqual(policy.Status, status) {
		return nil
	}
	before := policy.DeepCopy()
	policy.Status = status
	if err := r.write(ctx, policy, before, before.Status.Conditions, status.Conditions); err != nil {
		return err
	}
	if ended != nil {
		r.taken.release(client.ObjectKeyFromObject(policy))
		kind, reason := corev1.EventTypeNormal, "BackupDone"
		if !ended.Succeeded {
			kind, reason = corev1.EventTypeWarning, ended.Reason
		}
		r.events.Eventf(policy, nil, kind, reason, "Backup", "%s %s: %s", ended.Operation, ended.ID, ended.Message)
	}
	return nil
}

func (r *PolicyReconciler) setup(mgr ctrl.Manager, changes *feed) error {
	requested := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetAnnotations()[manifests.AnnotationBackupRequest] != e.ObjectNew.GetAnnotations()[manifests.AnnotationBackupRequest]
	}}
	return ctrl.NewControllerManagedBy(mgr).
		Named(policyController).
		For(&v1alpha1.BackupPolicy{}, builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, requested))).
		Watches(&v1alpha1.MockupStack{}, handler.EnqueueRequestsFromMapFunc(r.backingUp)).
		Watches(&v1alpha1.BackupPolicy{}, handler.EnqueueRequestsFromMapFunc(r.inTheWay), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(changes.of("BackupPolicy")).
		WatchesRawSource(source.Channel(r.hooking.ended, &handler.EnqueueRequestForObject{})).
		WatchesMetadata(metadataOf("Secret"), handler.EnqueueRequestsFromMapFunc(r.referring)).
		WithOptions(concurrency()).
		Complete(r)
}

// backingUp maps a stack to the policies that back it up.
func (r *PolicyReconciler) backingUp(ctx context.Context, stack client.Object) []reconcile.Request {
	return r.policies(ctx, stack.GetNamespace(), func(p *v1alpha1.BackupPolicy) bool { return p.Spec.StackRef.Name == stack.GetName() })
}

// referring maps a Secret to the policies that refer to it.
func (r *PolicyReconciler) referring(ctx context.Context, secret client.Object) []reconcile.Request {
	return r.policies(ctx, secret.GetNamespace(), func(p *v1alpha1.BackupPolicy) bool {
		for _, ref := range manifests.BackupReferences(p) {
			if ref.Name == secret.GetName() {
				return true
			}
		}
		return false
	})
}

// policies of a namespace that are concerned.
func (r *PolicyReconciler) policies(ctx context.Context, namespace string, concerned func(*v1alpha1.BackupPolicy) bool) []reconcile.Request {
	var all v1alpha1.BackupPolicyList
	if err := r.client.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range all.Items {
		if concerned(&all.Items[i]) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
	}
	return out
}
