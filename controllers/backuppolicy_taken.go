package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// taken are the repositories and volumes that something is being done to: to be written by one policy, or read by several.
// The statuses say the same, but a cache may lag behind what was just begun.
type taken struct {
	mu sync.Mutex
	// by policy, whether it lets others do the same.
	by map[string]map[types.NamespacedName]bool
}

func newTaken() *taken { return &taken{by: map[string]map[types.NamespacedName]bool{}} }

// take something, shared or alone, or tell who has it.
func (t *taken) take(what string, policy types.NamespacedName, shared bool) (by types.NamespacedName, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for other, shares := range t.by[what] {
		if other != policy && (!shared || !shares) {
			return other, false
		}
	}
	if t.by[what] == nil {
		t.by[what] = map[types.NamespacedName]bool{}
	}
	t.by[what][policy] = shared
	return policy, true
}

func (t *taken) release(policy types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, by := range t.by {
		if delete(by, policy); len(by) == 0 {
			delete(t.by, what)
		}
	}
}

// placesOf a policy: its repository and then its copies, each the same for all that have the same.
func placesOf(p *v1alpha1.BackupPolicy) []string {
	out := []string{manifests.BackupPlace(p.Spec.Repository.S3, p.Spec.Repository.HostPath)}
	if out[0] == "" {
		out[0] = "volume " + keyOf(p)
	}
	for _, c := range p.Spec.Copies {
		out = append(out, manifests.BackupPlace(c.S3, c.HostPath))
	}
	return out
}

// unshared tells whether there is an older policy that would remove what this one stores, or the other way round.
func (r *PolicyReconciler) unshared(ctx context.Context, policy *v1alpha1.BackupPolicy) error {
	var all v1alpha1.BackupPolicyList
	if err := r.client.List(ctx, &all); err != nil {
		return fmt.Errorf("listing policies: %w", err)
	}
	for i := range all.Items {
		other := &all.Items[i]
		if !older(other, policy) {
			continue
		}
		if field, how := clash(policy, other); how != "" {
			return &sharedRepositoryError{field, keyOf(other), how}
		}
	}
	return nil
}

// clash says how the places of two policies come in each other's way; empty if they do not. It is pure.
func clash(p, other *v1alpha1.BackupPolicy) (field, how string) {
	mine, theirs := placesOf(p), placesOf(other)
	if i := slices.Index(theirs[1:], mine[0]); i >= 0 {
		return "spec.repository", "has its copy " + other.Spec.Copies[i].Name + " there"
	}
	if i := slices.Index(mine[1:], theirs[0]); i >= 0 {
		return fmt.Sprintf("spec.copies[%d]", i), "has its repository there"
	}
	if mine[0] != theirs[0] || p.Namespace != other.Namespace || p.Spec.StackRef.Name != other.Spec.StackRef.Name {
		return "", ""
	}
	for _, v := range p.Spec.Volumes {
		if slices.Contains(other.Spec.Volumes, v) {
			return "spec.repository", "backs up volume " + string(v) + " of the same stack to the same repository"
		}
	}
	return "", ""
}

// inTheWay maps a policy to those that may begin when it has gone, or has changed.
func (r *PolicyReconciler) inTheWay(ctx context.Context, o client.Object) []reconcile.Request {
	p, ok := o.(*v1alpha1.BackupPolicy)
	var all v1alpha1.BackupPolicyList
	if !ok || r.client.List(ctx, &all) != nil {
		return nil
	}
	var out []reconcile.Request
	for i := range all.Items {
		if _, how := clash(&all.Items[i], p); how != "" && keyOf(&all.Items[i]) != keyOf(p) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
	}
	return out
}

// occupied takes the policy's repository, its copies and the volumes that are concerned, or says who works on them.
func (r *PolicyReconciler) occupied(ctx context.Context, policy *v1alpha1.BackupPolicy, stack *v1alpha1.MockupStack, request *v1alpha1.BackupRequest) (string, error) {
	if waiting, err := r.contended(ctx, policy, stack, request); err != nil || waiting != "" {
		return waiting, err
	}
	var all v1alpha1.BackupPolicyList
	if err := r.client.List(ctx, &all); err != nil {
		return "", fmt.Errorf("listing policies: %w", err)
	}
	mine, key := placesOf(policy), client.ObjectKeyFromObject(policy)
	common := func(place string) bool { return slices.Contains(mine, place) }
	for i := range all.Items {
		other := &all.Items[i]
		if otherKey := client.ObjectKeyFromObject(other); otherKey != key && other.Status.Run != nil && slices.ContainsFunc(placesOf(other), common) {
			return fmt.Sprintf("policy %s works on the same repository or copy", otherKey), nil
		}
	}
	for _, place := range mine {
		if by, ok := r.taken.take(place, key, false); !ok {
			return fmt.Sprintf("policy %s works on the same repository or copy", by), nil
		}
	}
	return "", nil
}
