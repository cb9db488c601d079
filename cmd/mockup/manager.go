package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"mockup.dev/mockup/internal/controlplane"
	"mockup.dev/mockup/internal/operator"
	"mockup.dev/mockup/internal/processes"
	"mockup.dev/mockup/internal/statedir"
	"mockup.dev/mockup/internal/systemd"
)

func newManager(a *app) *cobra.Command {
	o := operator.Options{Backend: operator.Podman, MetricsAddress: "0", ProbeAddress: "0"}
	var background *bool
	var options *operator.Options
	var cmd *cobra.Command
	cmd, options = operator.Command("manager", o, func(ctx context.Context, run func(context.Context) error) error {
		state, err := a.state()
		if err != nil {
			return err
		}
		if options.Kubeconfig == "" && os.Getenv("KUBECONFIG") == "" {
			options.Kubeconfig = controlplane.KubeconfigPath(state.ControlPlane())
		}
		if !*background {
			return run(ctx)
		}
		options.Ready = func() { tellReady(state) }
		defer os.Remove(readyFile(state))
		log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
		return watchingOver(ctx, folder(state), processOperator, log, run)
	})
	background = backgroundFlag(cmd)
	cmd.Example = `  mockup manager -v
  mockup manager --kubeconfig ~/.kube/config --backend kubernetes`
	return cmd
}

// watchingOver runs a background program that also keeps all others of its folder running, save for those that systemd
// keeps.
func watchingOver(ctx context.Context, f processes.Folder, name string, log *slog.Logger, run func(context.Context) error) error {
	if err := f.Claim(name); err != nil {
		return exitOnError(log, name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan error, 1)
	go func() { watched <- f.Watch(ctx, name, log) }()
	err := run(ctx)
	cancel()
	if watchErr := <-watched; watchErr != nil {
		log.Error("watching over the other programs", "error", watchErr.Error())
	}
	return exitOnError(log, name, err)
}

func readyFile(state statedir.Dir) string {
	return filepath.Join(state.Run(), processOperator+".ready")
}

// tellReady leaves the pid of the operator whose controllers run. If that fails, `mockup up` says what it waits for.
func tellReady(state statedir.Dir) {
	_ = os.WriteFile(readyFile(state), []byte(strconv.Itoa(os.Getpid())), 0o600)
	_ = systemd.NotifyReady() // if that fails, it starts the operator again
}

// operatorReady tells whether the operator pid has said that its controllers run.
func operatorReady(state statedir.Dir, pid int) bool {
	content, err := os.ReadFile(readyFile(state))
	return err == nil && pid != 0 && string(content) == strconv.Itoa(pid)
}
