package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mockup.dev/mockup/api/v1alpha1"
)

func newRestore(a *app) *cobra.Command {
	request := v1alpha1.BackupRequest{Operation: v1alpha1.BackupRestore}
	cmd := &cobra.Command{
		Use:   "restore [POLICY] --into NAME",
		Short: "Bring files back from a backup, into a new volume",
		Long: `Restores a volume, or some of its paths, from the newest snapshot, or the one that is asked for, into a new volume POLICY-NAME, and
compares every file with what was there when it was backed up. What runs goes on with the volume that it has; a stack takes up
the new one when it is named as existing in its specification. The new volume stays when the policy is deleted.

It may be called again after it was interrupted: what is there already is left alone.` + backupExitCodes,
		Example: `  mockup restore --into yesterday
  mockup restore mime-storage --volume mime-storage --as-of 2026-02-13T19:17:59Z --into yesterday
  mockup restore mime-storage --path uploads/2026 --snapshot 4ab3c0ffee --into some-files
  mockup restore mime-storage --from offsite --into from-the-copy`,
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
	if err := cmd.MarkFlagRequired("into"); err != nil {
		panic(err) // the flag is defined above
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, policy, outcome, err := a.have(cmd.Context(), w, args, request)
		if err != nil {
			return err
		}
		if err := printOutcome(a.out, *output, outcome); err != nil || *output == formJSON {
			return err
		}
		_, err = fmt.Fprintf(a.out, "A stack takes it up with: volumes: [{name: NAME, existing: %s-%s}]\n", policy.Namespace, outcome.Volume)
		return err
	}
	return cmd
}
