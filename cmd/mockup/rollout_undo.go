package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
	"mockup.dev/mockup/manifests"
)

func newRolloutUndo(a *app) *cobra.Command {
	to := int64(0)
	cmd := &cobra.Command{
		Use:   "undo [STACK]",
		Short: "Go back to an earlier specification of a stack",
		Long: `Gives a stack the specification that it had before, or that of a revision. The newest revision that differs from what is
specified now is the one before. Which there are, "mockup rollout history" lists. Secrets and ConfigMaps that the stack
refers to stay as they are. The file that a stack was applied from is not changed: applying it again brings its content back.

Exit codes: 0, also when there was nothing to change; 1 when there is no such stack or revision, or the control plane
refuses it; 2 when called wrongly; 3 when the control plane does not answer.`,
		Example: `  mockup rollout undo
  mockup rollout undo mockup --to-revision 3 && mockup rollout status mockup`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeStacks,
	}
	namespace := namespaceFlag(cmd)
	cmd.Flags().Int64Var(&to, "to-revision", 0, "number of the revision (default: the one before)")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("to-revision") && to < 1 {
			return &exitError{exitUsage, fmt.Errorf("--to-revision is %d, and must be 1 or more", to)}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, s, err := a.reachStack(cmd.Context(), *namespace, args)
		if err != nil {
			return err
		}
		kept, err := revisionsOf(cmd.Context(), c, s)
		if err != nil {
			return err
		}
		target, err := earlier(s, kept, to)
		if err != nil {
			return err
		}
		changes := specChanges(&s.Spec, &target.Spec)
		if len(changes) == 0 {
			fmt.Fprintf(a.out, "stack %s is what it was in revision %d already\n", keyOf(s), target.Number)
			return nil
		}
		if err := goBack(cmd.Context(), c, s, target); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "stack %s goes back to revision %d: %s\n", keyOf(s), target.Number, summary(changes))
		return nil
	}
	return cmd
}

// earlier is the revision of that number, or with 0 the newest that differs from what s is now. That is the one before
// also while s has a specification that is not kept since it is not valid.
func earlier(s *v1alpha1.MockupStack, kept []manifests.Revision, number int64) (*manifests.Revision, error) {
	now := manifests.CanonicalSpec(&s.Spec)
	var numbers string
	for i := len(kept) - 1; i >= 0; i-- {
		r := &kept[i]
		if r.Number == number || number == 0 && manifests.CanonicalSpec(&r.Spec) != now {
			return r, nil
		}
		numbers = fmt.Sprintf(" %d%s", r.Number, numbers)
	}
	if number == 0 {
		return nil, fmt.Errorf("no revision before the current one of stack %s is kept", keyOf(s))
	}
	return nil, fmt.Errorf("revision %d of stack %s is not kept; there are:%s", number, keyOf(s), either(numbers, " none"))
}

// goBack gives s the specification of a revision, unless somebody has changed s meanwhile.
func goBack(ctx context.Context, c client.Writer, s *v1alpha1.MockupStack, r *manifests.Revision) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	before := s.DeepCopy()
	s.Spec = *r.Spec.DeepCopy()
	err := c.Patch(ctx, s, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(fieldManager))
	switch {
	case apierrors.IsConflict(err):
		return errors.New("the stack was changed this very moment; look at it, and call again")
	case apierrors.IsInvalid(err):
		return fmt.Errorf("there is no way back to revision %d: %w", r.Number, itemized(err))
	case err != nil:
		return fmt.Errorf("changing stack %s: %w", keyOf(s), err)
	}
	return nil
}
