package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

// restartTime is RFC 3339 with milliseconds, so that two restarts in a second are two.
const restartTime = "2006-01-02T15:04:05.000Z07:00"

// allComponents stands for the gateway and every service.
const allComponents = "all"

func newRolloutRestart(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restart [STACK] SERVICE...|all",
		Short: "Replace the pods of services by new ones",
		Long: `Replaces the pods of services by new ones of the same specification, as a change would: one after the other, or all at
once where their updateStrategy is Recreate. "gateway" names the gateway, whose restart interrupts it for a moment since it
holds ports of the host, and "all" means the gateway and every service.

Exit codes: 0; 1 when there is no such stack; 2 when called wrongly, also for a service that the stack does not have; 3
when the control plane does not answer.`,
		Example: `  mockup rollout restart public-app intranet-api
  mockup rollout restart mockup all && mockup rollout status mockup`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeStacks,
	}
	namespace := namespaceFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, all, err := a.reachSubjects(cmd.Context(), *namespace, stackKind)
		if err != nil {
			return err
		}
		s, names, err := toRestart(all, *namespace, args)
		if err != nil {
			return err
		}
		if err := restart(cmd.Context(), c, s, names, time.Now()); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "stack %s restarts %s\n", keyOf(s), strings.Join(names, ", "))
		return nil
	}
	return cmd
}

// toRestart reads args: the name of a stack, which may be left out where there is one, and those of its components.
func toRestart(all []*subject, namespace string, args []string) (*v1alpha1.MockupStack, []string, error) {
	var named []string
	if slices.ContainsFunc(all, func(s *subject) bool { return s.GetName() == args[0] }) {
		named, args = args[:1], args[1:]
	}
	s, err := stackKind.one(all, namespace, named)
	if err != nil {
		return nil, nil, err
	}
	stack, has := s.Object.(*v1alpha1.MockupStack), s.components
	if slices.Equal(args, []string{allComponents}) {
		return stack, has, nil
	}
	if len(args) == 0 {
		return nil, nil, &exitError{exitUsage, errors.New(`name what to restart, or "all"; the stack has ` + strings.Join(has, ", "))}
	}
	for _, name := range args {
		if !slices.Contains(has, name) {
			return nil, nil, &exitError{exitUsage, fmt.Errorf("stack %s has no service %q; it has %s", keyOf(s), name, strings.Join(has, ", "))}
		}
	}
	return stack, args, nil
}

// restart asks for it by annotations.
func restart(ctx context.Context, c client.Writer, s *v1alpha1.MockupStack, names []string, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	before := s.DeepCopy()
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	for _, name := range names {
		s.Annotations[manifests.AnnotationRestartPrefix+name] = now.UTC().Format(restartTime)
	}
	if err := c.Patch(ctx, s, client.MergeFrom(before), client.FieldOwner(fieldManager)); err != nil {
		return fmt.Errorf("annotating stack %s: %w", keyOf(s), err)
	}
	return nil
}
