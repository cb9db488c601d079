package main

import (
	"errors"

	"github.com/spf13/cobra"

	"mockup.dev/mockup/internal/backend/podman/node"
)

func newNode() *cobra.Command {
	cmd := node.Command()
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if errors.As(err, new(*node.RunningError)) {
			return &exitError{code: node.ExitRunning, err: err}
		}
		return err
	}
	return cmd
}
