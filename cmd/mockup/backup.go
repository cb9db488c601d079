package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockup.dev/mockup/api/v1alpha1"
)

func newBackup(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup now|list|browse|verify|test|export|prune",
		Short: "Back up volumes, and look at, prove and export what is kept",
		Long: `Has something done with the backups of a BackupPolicy at once, beside what is scheduled, and waits for it to end. Each is for the
policy of that name, or for the only one of the namespace. "mockup restore" brings files back.

Exit codes: 2, since one of the verbs below has to be named.`,
		Example: `  mockup backup now mime-storage
  mockup backup list
  mockup backup browse --path uploads/2026
  mockup backup verify --percent 100`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return &exitError{exitUsage, errors.New("name one of now, list, browse, verify, test, export and prune")}
		},
	}
	cmd.AddCommand(newBackupNow(a), newBackupList(a), newBackupBrowse(a), newBackupVerify(a), newBackupTest(a), newBackupExport(a), newBackupPrune(a))
	return cmd
}

// backupExitCodes are those of all verbs that have something done.
const backupExitCodes = `

Exit codes: 0; 1 when there is no such policy or it failed; 2 when called wrongly; 3 when the control plane does not answer.`

// doing makes a verb that has an operation done; add adds its flags, and what they say to the request.
func doing(a *app, use, short, long, example string, operation v1alpha1.BackupOperation, add func(*cobra.Command, *v1alpha1.BackupRequest)) *cobra.Command {
	request := &v1alpha1.BackupRequest{Operation: operation}
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long + backupExitCodes, Example: example,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completePolicies,
	}
	w := waitFlags(cmd)
	output := outputFlag(cmd, formText, formJSON)
	if add != nil {
		add(cmd, request)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, _, outcome, err := a.have(cmd.Context(), w, args, *request)
		if err != nil {
			return err
		}
		return printOutcome(a.out, *output, outcome)
	}
	return cmd
}

// waitOptions are the flags of all that waits for an operation.
type waitOptions struct {
	namespace string
	timeout   time.Duration
}

func waitFlags(cmd *cobra.Command) *waitOptions {
	w := &waitOptions{}
	cmd.Flags().StringVarP(&w.namespace, "namespace", "n", defaultNamespace, "namespace of the policy")
	cmd.Flags().DurationVar(&w.timeout, "timeout", time.Hour, "how long to wait for it; it goes on when nobody waits any more")
	return w
}

func newBackupNow(a *app) *cobra.Command {
	return doing(a, "now [POLICY]", "Back up at once",
		`Makes a snapshot of each volume of the policy, checks it, removes what is kept no longer, and makes the copies equal.`,
		`  mockup backup now
  mockup backup now mime-storage -o json`, v1alpha1.BackupRunNow, nil)
}

func newBackupVerify(a *app) *cobra.Command {
	return doing(a, "verify [POLICY]", "Look whether what is kept is what was stored",
		`Looks whether everything that snapshots need is there. With --percent, it also reads and decrypts that part of the files, chosen anew
each time; 100 reads everything, and names every blob that is damaged.`,
		`  mockup backup verify
  mockup backup verify mime-storage --percent 100
  mockup backup verify mime-storage --from offsite --percent 10`, v1alpha1.BackupVerify,
		func(cmd *cobra.Command, q *v1alpha1.BackupRequest) {
			cmd.Flags().Int32Var(&q.Percent, "percent", 0, "part of the files to read")
			fromFlag(cmd, q)
		})
}

func newBackupTest(a *app) *cobra.Command {
	return doing(a, "test [POLICY]", "Restore into a scratch volume, and compare",
		`Restores the newest snapshot of each volume into a scratch volume and compares it file by file with what was there when it was backed
up: content, mode, owner, times and links.`,
		`  mockup backup test
  mockup backup test mime-storage --from offsite`, v1alpha1.BackupTestRestore,
		func(cmd *cobra.Command, q *v1alpha1.BackupRequest) {
			snapshotFlags(cmd, q)
			fromFlag(cmd, q)
		})
}

func newBackupExport(a *app) *cobra.Command {
	return doing(a, "export [POLICY]", "Make a portable archive of a snapshot",
		`Puts a snapshot of each volume into a file <volume>-backup-YYYYMMDD_HHMMSS.tar.gz in the folder "archives" beside the repository. It
is not encrypted.`,
		`  mockup backup export
  mockup backup export mime-storage --volume mime-storage --as-of 2026-02-13T19:17:59Z`, v1alpha1.BackupExport,
		func(cmd *cobra.Command, q *v1alpha1.BackupRequest) {
			volumeFlag(cmd, q)
			snapshotFlags(cmd, q)
		})
}

func newBackupPrune(a *app) *cobra.Command {
	return doing(a, "prune [POLICY]", "Remove what is kept no longer",
		`Removes the snapshots that no rule of retention keeps, and what nothing needs any more, unless the newest snapshot of a volume is not
well. It is done after each backup, too. What was stored on the last day stays for a day, since a run may be about to use it.`,
		`  mockup backup prune
  mockup backup prune mime-storage -o json`, v1alpha1.BackupPrune, nil)
}

func volumeFlag(cmd *cobra.Command, q *v1alpha1.BackupRequest) {
	cmd.Flags().StringVar(&q.Volume, "volume", "", "one of the volumes that the policy backs up (default: all of them)")
}

func fromFlag(cmd *cobra.Command, q *v1alpha1.BackupRequest) {
	cmd.Flags().StringVar(&q.From, "from", "", "copy to read in place of the repository")
}

// snapshotFlags choose a snapshot; the newest is the default.
func snapshotFlags(cmd *cobra.Command, q *v1alpha1.BackupRequest) {
	cmd.Flags().StringVar(&q.Snapshot, "snapshot", "", `ID of a snapshot, as "mockup backup list" prints them (default: the newest)`)
	asOf := time.Time{}
	cmd.Flags().TextVar(&asOf, "as-of", asOf, "take the newest snapshot that was begun no later, e.g. 2026-02-13T19:17:59Z")
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !asOf.IsZero() {
			at := metav1.NewTime(asOf)
			q.AsOf = &at
		}
		if check != nil {
			return check(cmd, args)
		}
		return nil
	}
}

// completePolicies completes the names of policies.
func (a *app) completePolicies(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	names, directive := a.complete(cmd, args, policyKind)
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], policyKind.word+"/")
	}
	return names, directive
}

// reachPolicy is the policy of that name, or the only one if args is empty.
func (a *app) reachPolicy(ctx context.Context, namespace string, args []string) (*v1alpha1.BackupPolicy, error) {
	_, s, err := a.reachSubject(ctx, namespace, policyKind, args)
	if err != nil {
		return nil, err
	}
	return s.Object.(*v1alpha1.BackupPolicy), nil
}

func newBackupList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [POLICY]",
		Short: "List the snapshots that there are",
		Long: `Lists the snapshots of a policy, newest first, as they were after the last backup, with the rules of retention that keep each.

Exit codes: 0; 1 when there is no such policy; 2 when called wrongly; 3 when the control plane does not answer.`,
		Example: `  mockup backup list
  mockup backup list mime-storage -o json`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completePolicies,
	}
	namespace := namespaceFlag(cmd)
	output := outputFlag(cmd, formTable, formJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := a.reachPolicy(cmd.Context(), *namespace, args)
		if err != nil {
			return err
		}
		return printSnapshots(a.out, *output, p.Status.List)
	}
	return cmd
}

func printSnapshots(w io.Writer, form string, list []v1alpha1.BackupSnapshot) error {
	if form == formJSON {
		return printJSON(w, map[string]any{"snapshots": append([]v1alpha1.BackupSnapshot{}, list...)})
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "No snapshots.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SNAPSHOT\tVOLUME\tTIME\tFILES\tBYTES\tKEPT BY")
	for _, s := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\n", s.ID, s.Volume, s.Time.UTC().Format(time.RFC3339), s.Files, s.Bytes, either(strings.Join(s.Kept, ","), "-"))
	}
	return table.Flush()
}

// printOutcome prints how an operation ended. One that failed is an error; as JSON, everything has been said then.
func printOutcome(w io.Writer, form string, o v1alpha1.BackupOutcome) error {
	if form == formJSON {
		err := printJSON(w, o)
		if err == nil && !o.Succeeded {
			err = &exitError{exitFailed, nil}
		}
		return err
	}
	if !o.Succeeded {
		return fmt.Errorf("%s failed: %s: %s", o.Operation, o.Reason, o.Message)
	}
	_, err := fmt.Fprintln(w, o.Message)
	return err
}
