package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mockup.dev/mockup/internal/version"
)

func newVersion(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Prints which build this is.\n\nExit codes: 0, 2 when called wrongly.",
		Example: `  mockup version
  mockup version -o json`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(cmd, formText, formJSON)
	cmd.RunE = func(*cobra.Command, []string) error {
		info := version.Get()
		if *output == formJSON {
			return printJSON(a.out, info)
		}
		_, err := fmt.Fprintf(a.out, "mockup %s (%s, %s)\n", info.Version, info.Go, info.Platform)
		return err
	}
	return cmd
}
