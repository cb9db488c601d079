package controllers

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/manifests"
)

// sightings are the pods of stacks as the newest pass over each has seen them, for who looks into a stack that is not his.
type sightings struct {
	mu sync.Mutex
	by map[types.NamespacedName]backend.Observation
}

func newSightings() *sightings { return &sightings{by: map[types.NamespacedName]backend.Observation{}} }

func (s *sightings) note(stack types.NamespacedName, seen backend.Observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by[stack] = seen
}

func (s *sightings) forget(stack types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, stack)
}

// ready finds a pod of a service that is ready.
func (s *sightings) ready(stack *v1alpha1.MockupStack, service string) (backend.PodRef, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.by[types.NamespacedName{Namespace: stack.Namespace, Name: stack.Name}]
	state, _ := seen.Find(manifests.Ref{Kind: "Deployment", Name: manifests.WorkloadName(stack.Name, service)})
	for _, p := range state.Pods {
		if p.Ready {
			return backend.PodRef{Owner: manifests.StackOwner(stack), Pod: p.Name}, true
		}
	}
	return backend.PodRef{}, false
}
