// Command manager is the operator alone, for an image that runs in a cluster.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

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
	if err := command.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}
