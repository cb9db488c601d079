package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newUninstall(a *app) *cobra.Command {
	var o installOptions
	cmd := &cobra.Command{
		Use:   "uninstall [--user|--system]",
		Short: "Take back what install did",
		Long: `Ends the units that "mockup install" wrote and removes them. Pods run on, and their names, until they are stopped or the
machine is; the next "mockup up" finds all of it again, and keeps its programs by itself.

It may be called again at any time.

Exit codes: 0, also when nothing was installed; 1 when something is left; 2 when called wrongly.`,
		Example: `  mockup uninstall
  mockup uninstall --dry-run`,
		Args: cobra.NoArgs,
	}
	o.addFlags(cmd, "print which units would be removed, and change nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		i, err := newInstallation(a, o)
		if err != nil {
			return err
		}
		return i.remove(cmd.Context())
	}
	return cmd
}

func (i *installation) remove(ctx context.Context) error {
	units := i.manager.Installed()
	switch {
	case len(units) == 0:
		i.list.Note("✓", "nothing is installed in "+i.manager.Dir)
		return nil
	case i.dryRun:
		_, err := fmt.Fprintln(i.out, strings.Join(units, "\n"))
		return err
	}
	return i.list.Step("units", func(func(string)) (string, error) {
		return fmt.Sprintf("%s ended and removed from %s", counted(len(units), "unit"), i.manager.Dir), i.manager.Remove(ctx, units)
	})
}
