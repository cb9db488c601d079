package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/podman"
	"mockup.dev/mockup/manifests"
)

// exitFound: what was looked for with a flag is there. The verbs that use it need no control plane, so that it can't be
// taken for exitUnreachable.
const exitFound = 3

// refusalLine is a refusal as it is printed.
type refusalLine struct {
	Object string `json:"object"`
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

func refusalLines(refused []backend.Refusal) []refusalLine {
	lines := []refusalLine{}
	for _, r := range refused {
		lines = append(lines, refusalLine{r.Ref.String(), r.Path, r.Reason})
	}
	return lines
}

// check prints what the Podman backend would not do as written. Its error, if there is anything, has nothing to say beside.
func check(w io.Writer, form string, sets []manifests.Set) error {
	found := []refusalLine{}
	for _, set := range sets {
		refused, err := podman.Refusals(set)
		if err != nil {
			return fmt.Errorf("checking %s: %w", titleOf(set.Owner), err)
		}
		found = append(found, refusalLines(refused)...)
	}
	if form == formJSON {
		if err := printJSON(w, map[string]any{"refusals": found}); err != nil {
			return err
		}
	} else if err := printRefusals(w, found); err != nil {
		return err
	}
	if len(found) > 0 {
		return &exitError{exitFound, nil}
	}
	return nil
}

func printRefusals(w io.Writer, found []refusalLine) error {
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "Podman runs all of it as written.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OBJECT\tPATH\tREASON")
	for _, l := range found {
		fmt.Fprintf(table, "%s\t%s\t%s\n", l.Object, either(l.Path, "-"), l.Reason)
	}
	return table.Flush()
}
