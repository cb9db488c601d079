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
		Long: `Follows a change of a stack or an addon until it has reached every pod, goes back to an earlier specification of a stack,
restarts its workloads, and lists the specifications that are kept. Each is for the stack of that name, or for the only one
of the namespace.

Exit codes: 2, since one of the verbs below has to be named.`,
		Example: `  mockup rollout status mockup --timeout 2m
  mockup rollout status addon/mockup
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

// reachSubjects are those of a kind in a namespace, and a client to go on with.
func (a *app) reachSubjects(ctx context.Context, namespace string, k *kind) (client.WithWatch, []*subject, error) {
	state, err := a.state()
	if err != nil {
		return nil, nil, err
	}
	c, err := reach(ctx, state)
	if err != nil {
		return nil, nil, err
	}
	all, err := k.subjects(ctx, c, namespace)
	return c, all, err
}

// reachSubject is the one of that name, or the only one of its kind if args is empty.
func (a *app) reachSubject(ctx context.Context, namespace string, k *kind, args []string) (client.WithWatch, *subject, error) {
	c, all, err := a.reachSubjects(ctx, namespace, k)
	if err != nil {
		return nil, nil, err
	}
	s, err := k.one(all, namespace, args)
	return c, s, err
}

// reachStack is the stack of that name, or the only one if args is empty.
func (a *app) reachStack(ctx context.Context, namespace string, args []string) (client.WithWatch, *v1alpha1.MockupStack, error) {
	c, s, err := a.reachSubject(ctx, namespace, stackKind, args)
	if err != nil {
		return nil, nil, err
	}
	return c, s.Object.(*v1alpha1.MockupStack), nil
}

// one of all: the one that args begins with, or the only one if args is empty.
func (k *kind) one(all []*subject, namespace string, args []string) (*subject, error) {
	var names []string
	for _, s := range all {
		if len(args) > 0 && s.GetName() == args[0] || len(args) == 0 && len(all) == 1 {
			return s, nil
		}
		names = append(names, s.GetName())
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("there is no %s in namespace %s", k.word, namespace)
	case len(args) > 0:
		return nil, fmt.Errorf("there is no %s %s in namespace %s, which has %s", k.word, args[0], namespace, strings.Join(names, ", "))
	}
	return nil, &exitError{exitUsage, fmt.Errorf("namespace %s has the %ss %s: say which", namespace, k.word, strings.Join(names, ", "))}
}

// argument is how one of the kind is named in a call; typed reads it.
func (k *kind) argument(name string) string {
	if k == stackKind {
		return name
	}
	return k.word + "/" + name
}

// typed reads a name that may have its kind before it, as in addon/mockup; without one it is a stack's.
func typed(args []string) (*kind, []string) {
	for _, k := range kinds {
		if len(args) == 0 {
			break
		}
		if name, ok := strings.CutPrefix(args[0], k.word+"/"); ok {
			return k, []string{name}
		}
	}
	return stackKind, args
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
