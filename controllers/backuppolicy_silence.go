package controllers

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
)

// hearing is how long it is tried to read the log of a Job that is over, before it counts as one without a result.
const hearing = 2 * time.Minute

// silence is since when the logs of policies can't be read.
type silence struct {
	mu    sync.Mutex
	since map[types.NamespacedName]time.Time
}

func newSilence() *silence { return &silence{since: map[types.NamespacedName]time.Time{}} }

// lasts for so long at now.
func (s *silence) lasts(policy types.NamespacedName, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.since[policy]; !ok {
		s.since[policy] = now
	}
	return now.Sub(s.since[policy])
}

// broken: something was heard, or is of no interest any more.
func (s *silence) broken(policy types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.since, policy)
}

// listen to a pod; again is true when nothing was heard, for whatever reason, and it should be tried again.
func (r *PolicyReconciler) listen(ctx context.Context, policy *v1alpha1.BackupPolicy, pod string, over bool) (line backupLine, again bool) {
	key := client.ObjectKeyFromObject(policy)
	line, err := r.lastLine(ctx, policy, pod, over)
	if err == nil || !over || line.Result != nil {
		r.silence.broken(key)
		return line, false
	}
	again = r.silence.lasts(key, r.Clock()) < hearing
	if !again {
		r.silence.broken(key)
	}
	return line, again
}
