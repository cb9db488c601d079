package controllers

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
)

// taken are the repositories that something is being done to, each by one policy. The statuses say the same, but a cache may
// lag behind what was just begun.
type taken struct {
	mu sync.Mutex
	by map[string]types.NamespacedName
}

func newTaken() *taken { return &taken{by: map[string]types.NamespacedName{}} }

// take a repository, or tell who has it.
func (t *taken) take(repository string, policy types.NamespacedName) (by types.NamespacedName, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other, is := t.by[repository]; is && other != policy {
		return other, false
	}
	t.by[repository] = policy
	return policy, true
}

func (t *taken) release(policy types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for repository, by := range t.by {
		if by == policy {
			delete(t.by, repository)
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

// occupied takes the policy's repository, or says who works on it.
func (r *PolicyReconciler) occupied(ctx context.Context, policy *v1alpha1.BackupPolicy) (string, error) {
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
	if by, ok := r.taken.take(mine, key); !ok {
		return fmt.Sprintf("policy %s works on the same repository", by), nil
	}
	return "", nil
}
