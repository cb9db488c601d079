package controllers

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// restoring are the volumes of the stack that are restored in place, by whatever policy. The API server is asked, and not the cache: by one that
// lags, a half-restored volume would be served.
func (r *StackReconciler) restoring(ctx context.Context, stack *v1alpha1.MockupStack) ([]manifests.Restoring, error) {
	var all v1alpha1.BackupPolicyList
	if err := r.references.live.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("listing the backup policies: %w", err)
	}
	return manifests.RestoringAmong(stack, all.Items, r.OneHost), nil
}

// restored maps a policy to the stacks that have what it restores in place, and whose services stop and start by it.
func (r *StackReconciler) restored(ctx context.Context, o client.Object) []reconcile.Request {
	p, ok := o.(*v1alpha1.BackupPolicy)
	if !ok || p.Status.Restore == nil {
		return nil
	}
	var stacks v1alpha1.MockupStackList
	if err := r.client.List(ctx, &stacks); err != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range stacks.Items {
		if len(volumesOf(&stacks.Items[i], manifests.RestoredID(p, r.OneHost), r.OneHost)) > 0 {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&stacks.Items[i])})
		}
	}
	return out
}

// volumesOf a stack that have an ID.
func volumesOf(stack *v1alpha1.MockupStack, id string, oneHost bool) []string {
	var out []string
	for _, v := range stack.Spec.Volumes {
		if manifests.VolumeID(stack, v.Name, oneHost) == id {
			out = append(out, v.Name)
		}
	}
	return out
}

// forRestores lets through what changes which restore in place goes on, and how far it has come; and the end of a policy.
func forRestores() builder.WatchesOption {
	return builder.WithPredicates(predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return stageOf(e.ObjectOld) != stageOf(e.ObjectNew)
	}})
}

func stageOf(o client.Object) string {
	p, ok := o.(*v1alpha1.BackupPolicy)
	if !ok || p.Status.Restore == nil {
		return ""
	}
	return manifests.RestoreToken(p.Status.Restore) + " " + string(p.Status.Restore.Phase)
}

// releasedFor is the restore in place of a volume for which none of the stack's pods mounts it any more; empty if there is
// none, or one of them still may.
func releasedFor(stack *v1alpha1.MockupStack, volume string, seen observed) string {
	for _, restore := range seen.Restoring {
		if restore.Volume != volume {
			continue
		}
		for i := range stack.Spec.Services {
			s := &stack.Spec.Services[i]
			if manifests.StoppedBy(s, []manifests.Restoring{restore}) != nil && !stopped(stack, s, seen.Observation) {
				return ""
			}
		}
		return restore.For()
	}
	return ""
}

// stopped tells whether no pod of a service is there any more, nor one that is being made.
func stopped(stack *v1alpha1.MockupStack, s *v1alpha1.Service, seen backend.Observation) bool {
	state, there := seen.Find(manifests.Ref{Kind: "Deployment", Name: manifests.WorkloadName(stack.Name, s.Name)})
	return there && state.Phase == backend.Ready && state.Desired == 0 && len(state.Pods) == 0 && state.Passing == 0
}

// withheld says of a service that is stopped for a restore why it is.
func withheld(stack *v1alpha1.MockupStack, component string, restoring []manifests.Restoring) string {
	for i := range stack.Spec.Services {
		if s := &stack.Spec.Services[i]; s.Name == component {
			if r := manifests.StoppedBy(s, restoring); r != nil {
				return fmt.Sprintf("stopped while backup %s restores volume %s in place (%s)", r.Policy, r.Volume, r.Phase)
			}
		}
	}
	return ""
}

// restoringVerdict says what is restored in place, and for how long it goes without which services.
func restoringVerdict(stack *v1alpha1.MockupStack, restoring []manifests.Restoring) verdict {
	var texts []string
	for i := range restoring {
		var services []string
		for j := range stack.Spec.Services {
			if s := &stack.Spec.Services[j]; manifests.StoppedBy(s, restoring[i:i+1]) != nil {
				services = append(services, s.Name)
			}
		}
		text := fmt.Sprintf("backup %s restores volume %s in place (%s)", restoring[i].Policy, restoring[i].Volume, restoring[i].Phase)
		if len(services) > 0 {
			text += "; until it is whole again, these are stopped: " + strings.Join(services, ", ")
		}
		texts = append(texts, text)
	}
	return verdict{reconciling: true, reason: v1alpha1.ReasonRestoreInProgress, message: strings.Join(texts, "; ")}
}
