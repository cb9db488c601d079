package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mockup.dev/mockup/manifests"
)

func newRolloutHistory(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history [STACK]",
		Short: "List the specifications of a stack that are kept",
		Long: `Lists the specifications of a stack that are kept, the oldest first: when each came, and in what it differs from the one
before, with what the annotation kubernetes.io/change-cause said of it. The current one has a "*" behind its number. The
field spec.revisionHistoryLimit says how many earlier ones are kept.

Exit codes: 0; 1 when there is no such stack or nothing is kept; 2 when called wrongly; 3 when the control plane does not
answer.`,
		Example: `  mockup rollout history
  mockup rollout history mockup -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeStacks,
	}
	namespace, output := namespaceFlag(cmd), outputFlag(cmd, formTable, formJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, s, err := a.reachStack(cmd.Context(), *namespace, args)
		if err != nil {
			return err
		}
		kept, err := revisionsOf(cmd.Context(), c, s)
		if err != nil {
			return err
		}
		if len(kept) == 0 {
			return fmt.Errorf("no revision of stack %s is kept: its specification was never valid, or the operator has not looked at it yet", keyOf(s))
		}
		entries := history(kept, s.Status.Revision)
		if *output == formJSON {
			return printJSON(a.out, map[string]any{"namespace": s.Namespace, "stack": s.Name, "revisions": entries})
		}
		return printHistory(a.out, entries, time.Now())
	}
	return cmd
}

// historyEntry is a revision as it is listed.
type historyEntry struct {
	Revision int64     `json:"revision"`
	Created  time.Time `json:"created"`
	Current  bool      `json:"current"`
	// Changes against the revision before; none for the first that is kept.
	Changes []string `json:"changes"`
	Cause   string   `json:"cause,omitempty"`
}

// history of what is kept, oldest first. A cause that was there before is an old one.
func history(kept []manifests.Revision, current int64) []historyEntry {
	out := make([]historyEntry, 0, len(kept))
	for i := range kept {
		e := historyEntry{Revision: kept[i].Number, Created: kept[i].Created, Current: kept[i].Number == current, Changes: []string{}, Cause: kept[i].Cause}
		if i > 0 {
			e.Changes = specChanges(&kept[i-1].Spec, &kept[i].Spec)
			if e.Cause == kept[i-1].Cause {
				e.Cause = ""
			}
		}
		out = append(out, e)
	}
	return out
}

func printHistory(w io.Writer, entries []historyEntry, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "REVISION\tCREATED\tCHANGE")
	for _, e := range entries {
		number := fmt.Sprint(e.Revision)
		if e.Current {
			number += "*"
		}
		change := either(summary(e.Changes), "-")
		if e.Cause != "" {
			change += fmt.Sprintf(" (%s)", e.Cause)
		}
		fmt.Fprintf(table, "%s\t%s ago\t%s\n", number, now.Sub(e.Created).Truncate(time.Second), change)
	}
	return table.Flush()
}
