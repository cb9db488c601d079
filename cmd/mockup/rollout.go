package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

func newRollout(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout history|restart|status|undo",
		Short: "Follow, undo, restart and list the changes of a stack",
		Long: `Follows a change of a stack until it has reached every pod, goes back to an earlier specification, restarts workloads,
and lists the specifications that are kept. Each is for the stack of that name, or for the only one of the namespace.

Exit codes: 2, since one of the verbs below has to be named.`,
		Example: `  mockup rollout status mockup --timeout 2m
  mockup rollout history mockup
  mockup rollout undo mockup --to-revision 3
  mockup rollout restart mockup public-app`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return &exitError{exitUsage, errors.New("name one of history, restart, status and undo")}
		},
	}
	cmd.AddCommand(newRolloutHistory(a), newRolloutRestart(a), newRolloutStatus(a), newRolloutUndo(a))
	return cmd
}

// namespaceFlag adds -n.
func namespaceFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("namespace", "n", defaultNamespace, "namespace of the stack")
}

// reachStacks are those of a namespace, and a client to go on with.
func (a *app) reachStacks(ctx context.Context, namespace string) (client.WithWatch, []v1alpha1.MockupStack, error) {
	state, err := a.state()
	if err != nil {
		return nil, nil, err
	}
	c, err := reach(ctx, state)
	if err != nil {
		return nil, nil, err
	}
	all, err := stacks(ctx, c, namespace)
	return c, all, err
}

// reachStack is the stack of that name, or the only one if args is empty.
func (a *app) reachStack(ctx context.Context, namespace string, args []string) (client.WithWatch, *v1alpha1.MockupStack, error) {
	c, all, err := a.reachStacks(ctx, namespace)
	if err != nil {
		return nil, nil, err
	}
	s, err := oneStack(all, namespace, args)
	return c, s, err
}

// oneStack of all: the one that args begins with, or the only one if args is empty.
func oneStack(all []v1alpha1.MockupStack, namespace string, args []string) (*v1alpha1.MockupStack, error) {
	var names []string
	for i := range all {
		if len(args) > 0 && all[i].Name == args[0] || len(args) == 0 && len(all) == 1 {
			return &all[i], nil
		}
		names = append(names, all[i].Name)
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("there is no stack in namespace %s", namespace)
	case len(args) > 0:
		return nil, fmt.Errorf("there is no stack %s in namespace %s, which has %s", args[0], namespace, strings.Join(names, ", "))
	}
	return nil, &exitError{exitUsage, fmt.Errorf("namespace %s has the stacks %s: say which", namespace, strings.Join(names, ", "))}
}

// revisionsOf a stack that are kept, oldest first.
func revisionsOf(ctx context.Context, c client.Reader, s *v1alpha1.MockupStack) ([]manifests.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var list corev1.ConfigMapList
	if err := c.List(ctx, &list, client.InNamespace(s.Namespace), client.MatchingLabels(manifests.RevisionLabels(s.Name))); err != nil {
		return nil, fmt.Errorf("listing the revisions of %s: %w", keyOf(s), err)
	}
	return manifests.ParseRevisions(s, list.Items), nil
}

// components of a stack as they are restarted: the gateway and the services.
func components(s *v1alpha1.MockupStack) []string {
	var out []string
	if s.Spec.Gateway != nil {
		out = append(out, manifests.ComponentGateway)
	}
	for _, service := range s.Spec.Services {
		out = append(out, service.Name)
	}
	return out
}
