package controllers

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
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

// repositoryOf a policy, the same for all that have the same.
func repositoryOf(p *v1alpha1.BackupPolicy) string {
	r := &p.Spec.Repository
	switch {
	case r.S3 != nil:
		return fmt.Sprintf("s3 %s %s %s", r.S3.Endpoint, r.S3.Bucket, r.S3.Prefix)
	case r.HostPath != "":
		return "host " + r.HostPath
	}
	return "volume " + keyOf(p)
}

// occupied takes the policy's repository and the volumes that are concerned, or says who works on them.
func (r *PolicyReconciler) occupied(ctx context.Context, policy *v1alpha1.BackupPolicy, stack *v1alpha1.MockupStack, request *v1alpha1.BackupRequest) (string, error) {
	if waiting, err := r.contended(ctx, policy, stack, request); err != nil || waiting != "" {
		return waiting, err
	}
	var all v1alpha1.BackupPolicyList
	if err := r.client.List(ctx, &all); err != nil {
		return "", fmt.Errorf("listing policies: %w", err)
	}
	mine, key := repositoryOf(policy), client.ObjectKeyFromObject(policy)
	for i := range all.Items {
		other := &all.Items[i]
		if otherKey := client.ObjectKeyFromObject(other); otherKey != key && other.Status.Run != nil && repositoryOf(other) == mine {
			return fmt.Sprintf("policy %s works on the same repository", otherKey), nil
		}
	}
	if by, ok := r.taken.take(mine, key, false); !ok {
		return fmt.Sprintf("policy %s works on the same repository", by), nil
	}
	return "", nil
}
