package stacktest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"mockup.dev/mockup/api/v1alpha1"
)

// Name is the sample's, in namespace default.
var Name = client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "mockup"}

// Ready tells whether a stack is ready as it is specified now.
func Ready(s *v1alpha1.MockupStack) bool {
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	return s.Name != "" && s.DeletionTimestamp == nil && ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == s.Generation
}

// connect makes the client.
func (s *Stack) connect(ctx context.Context) error {
	path, err := s.Mockup(ctx, "kubeconfig")
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return fmt.Errorf("reading kubeconfig %s: %w", path, err)
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	if s.API, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

// Get reads the sample's resource.
func (s *Stack) Get(ctx context.Context) (*v1alpha1.MockupStack, error) {
	found := &v1alpha1.MockupStack{}
	if err := s.API.Get(ctx, Name, found); err != nil {
		return nil, fmt.Errorf("reading the stack: %w", err)
	}
	return found, nil
}

// ApplyUntilReady creates the sample's resource and returns how long it took from sending it until a watch saw it ready.
func (s *Stack) ApplyUntilReady(ctx context.Context) (time.Duration, error) {
	content, err := os.ReadFile(s.Sample())
	if err != nil {
		return 0, fmt.Errorf("reading the sample: %w", err)
	}
	stack := &v1alpha1.MockupStack{}
	if err := yaml.UnmarshalStrict(content, stack); err != nil {
		return 0, fmt.Errorf("reading the sample: %w", err)
	}
	begin := time.Time{}
	err = s.follow(ctx, func() error {
		begin = time.Now()
		return s.API.Create(ctx, stack)
	}, func(_ watch.EventType, now *v1alpha1.MockupStack) bool { return Ready(now) })
	if err != nil {
		return 0, fmt.Errorf("applying the sample and waiting until it is ready: %w", err)
	}
	return time.Since(begin), nil
}

// Delete deletes the sample's resource and returns how long it took until it was gone.
func (s *Stack) Delete(ctx context.Context) (time.Duration, error) {
	begin := time.Time{}
	err := s.follow(ctx, func() error {
		begin = time.Now()
		return s.API.Delete(ctx, &v1alpha1.MockupStack{ObjectMeta: metav1.ObjectMeta{Namespace: Name.Namespace, Name: Name.Name}})
	}, func(event watch.EventType, _ *v1alpha1.MockupStack) bool { return event == watch.Deleted })
	if err != nil {
		return 0, fmt.Errorf("deleting the stack and waiting until it is gone: %w", err)
	}
	return time.Since(begin), nil
}

// follow opens a watch, does what is to be done, and returns with the first event of the sample that is enough. The
// error says how the resource stood when ctx ended.
func (s *Stack) follow(ctx context.Context, do func() error, enough func(watch.EventType, *v1alpha1.MockupStack) bool) error {
	events, err := s.API.Watch(ctx, &v1alpha1.MockupStackList{}, client.InNamespace(Name.Namespace))
	if err != nil {
		return fmt.Errorf("opening a watch: %w", err)
	}
	defer events.Stop()
	if err := do(); err != nil {
		return err
	}
	last := "no event arrived"
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last seen: %s", ctx.Err(), last)
		case e, open := <-events.ResultChan():
			if !open {
				return fmt.Errorf("the watch ended; last seen: %s", last)
			}
			stack, ok := e.Object.(*v1alpha1.MockupStack)
			if !ok {
				return fmt.Errorf("the watch said: %v", e.Object)
			}
			if stack.Name == Name.Name && enough(e.Type, stack) {
				return nil
			}
			last = Describe(stack)
		}
	}
}

// Describe puts the conditions of a stack on one line.
func Describe(s *v1alpha1.MockupStack) string {
	var lines []string
	for _, c := range s.Status.Conditions {
		lines = append(lines, fmt.Sprintf("%s=%s (%s: %s)", c.Type, c.Status, c.Reason, c.Message))
	}
	return strings.Join(lines, ", ")
}

// Edit changes a stack as kubectl edit does. A change that somebody else makes meanwhile is not undone: a patch has all
// services.
func (s *Stack) Edit(ctx context.Context, name client.ObjectKey, edit func(*v1alpha1.MockupStack)) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		found := &v1alpha1.MockupStack{}
		if err := s.API.Get(ctx, name, found); err != nil {
			return err
		}
		before := found.DeepCopy()
		edit(found)
		return s.API.Patch(ctx, found, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
	if err != nil {
		return fmt.Errorf("changing stack %s: %w", name, err)
	}
	return nil
}
