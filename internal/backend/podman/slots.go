package podman

import (
	"slices"
	"sync"

	"mockup.dev/mockup/manifests"
)

// slots bound how much is done at once, and are fair: a free one goes to whoever waits and has the fewest, the longest
// waiting first. One owner with much to do does not keep the others waiting until all of it is done.
type slots struct {
	mu      sync.Mutex
	free    int
	taken   map[manifests.Owner]int
	waiting []waiter
}

type waiter struct {
	owner manifests.Owner
	// given is closed when the slot is the waiter's.
	given chan struct{}
}

func newSlots(n int) *slots { return &slots{free: n, taken: map[manifests.Owner]int{}} }

// take waits for a slot, and returns what gives it back; it may be called again, for nothing.
func (s *slots) take(owner manifests.Owner) (giveBack func()) {
	s.mu.Lock()
	w := waiter{owner, make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.hand()
	s.mu.Unlock()
	<-w.given
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.taken[owner]--; s.taken[owner] == 0 {
			delete(s.taken, owner)
		}
		s.free++
		s.hand()
	})
}

// hand out what is free.
func (s *slots) hand() {
	for s.free > 0 && len(s.waiting) > 0 {
		next := 0
		for i, w := range s.waiting {
			if s.taken[w.owner] < s.taken[s.waiting[next].owner] {
				next = i
			}
		}
		w := s.waiting[next]
		s.waiting = slices.Delete(s.waiting, next, next+1)
		s.free--
		s.taken[w.owner]++
		close(w.given)
	}
}
