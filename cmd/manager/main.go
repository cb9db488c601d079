// Command manager is the operator alone, for an image that runs in a cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"mockup.dev/mockup/internal/backend/podman/node"
	"mockup.dev/mockup/internal/operator"
	"mockup.dev/mockup/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command, _ := operator.Command("manager", operator.Options{
		Backend: operator.Kubernetes, MetricsAddress: "0", ProbeAddress: "0",
	}, nil)
	command.Example = `  # as a Deployment runs it
  manager --leader-elect --health-probe-bind-address :8081 --metrics-bind-address :8080

  # against another cluster, from here
  manager --kubeconfig ~/.kube/config`
	command.Version = version.Version
	command.SilenceUsage, command.SilenceErrors = true, true
	command.CompletionOptions.DisableDefaultCmd = true
	command.AddCommand(newNode())
	if err := command.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(exitCode(err))
	}
}

// newNode is the agent that the Podman backend starts from this very program.
func newNode() *cobra.Command {
	command := node.Command()
	command.Example = "  manager node --dir " + node.DefaultDir()
	return command
}

func exitCode(err error) int {
	if errors.As(err, new(*node.RunningError)) {
		return node.ExitRunning
	}
	return 1
}
