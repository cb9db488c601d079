package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mockup.dev/mockup/api/v1alpha1"
)

func newRestore(a *app) *cobra.Command {
	request := v1alpha1.BackupRequest{Operation: v1alpha1.BackupRestore}
	yes := false
	cmd := &cobra.Command{
		Use:   "restore [POLICY] --into NAME | --in-place",
		Short: "Bring files back from a backup, into a new volume or in place",
		Long: `Restores a volume, or some of its paths, from the newest snapshot, or the one that is asked for, and compares every file with what
was there when it was backed up.

With --into, it goes into a new volume POLICY-NAME. What runs goes on with the volume that it has; a stack takes up the new one
when it is named as existing in its specification. The new volume stays when the policy is deleted. It may be called again after
it was interrupted: what is there already is left alone.

With --in-place, it replaces what is in the volume itself, after a question that --yes answers. The services that mount it are
stopped, what is there is kept in a safety snapshot, and they start again when everything has been restored and compared. If
anything fails, what was there before comes back. It goes on whatever is interrupted, this command included.` + backupExitCodes,
		Example: `  mockup restore --into yesterday
  mockup restore mime-storage --volume mime-storage --as-of 2026-02-13T19:17:59Z --into yesterday
  mockup restore mime-storage --path uploads/2026 --snapshot 4ab3c0ffee --into some-files
  mockup restore mime-storage --from offsite --into from-the-copy
  mockup restore mime-storage --in-place --yes`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completePolicies,
	}
	w := waitFlags(cmd)
	output := outputFlag(cmd, formText, formJSON)
	volumeFlag(cmd, &request)
	snapshotFlags(cmd, &request)
	fromFlag(cmd, &request)
	flags := cmd.Flags()
	flags.StringArrayVar(&request.Paths, "path", nil, "path in the volume, with all that is below; may be repeated")
	flags.StringVar(&request.Into, "into", "", "name of the new volume, to which that of the policy is put in front")
	flags.BoolVar(&request.InPlace, "in-place", false, "replace what is in the volume itself; its services are stopped meanwhile")
	flags.BoolVar(&yes, "yes", false, "do not ask before what is in the volume is replaced")
	cmd.MarkFlagsOneRequired("into", "in-place")
	cmd.MarkFlagsMutuallyExclusive("into", "in-place")
	cmd.MarkFlagsMutuallyExclusive("from", "in-place")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if request.InPlace && !yes {
			if err := a.confirm(replacing(&request), "nothing was restored"); err != nil {
				return err
			}
		}
		_, policy, outcome, err := a.have(cmd.Context(), w, args, request)
		if err != nil {
			return err
		}
		if err := printOutcome(a.out, *output, outcome); err != nil || *output == formJSON || request.InPlace {
			return err
		}
		_, err = fmt.Fprintf(a.out, "A stack takes it up with: volumes: [{name: NAME, existing: %s-%s}]\n", policy.Namespace, outcome.Volume)
		return err
	}
	return cmd
}

// replacing is the question before a restore in place.
func replacing(q *v1alpha1.BackupRequest) string {
	what := "everything in the volume"
	if len(q.Paths) > 0 {
		what = fmt.Sprintf("what is below %q in the volume", q.Paths)
	}
	return fmt.Sprintf("The services that mount it are stopped meanwhile. Replace %s by what was backed up?", what)
}
