package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"mockup.dev/mockup/config/crd"
	"mockup.dev/mockup/internal/controlplane"
	"mockup.dev/mockup/internal/systemd"
)

func newControlPlane(a *app) *cobra.Command {
	port := 0
	cmd := &cobra.Command{
		Use:   "controlplane",
		Short: "Run the local control plane",
		Long: `Runs a Kubernetes API server with its store in the foreground, on 127.0.0.1, with its state in the state folder.
"mockup up" runs it in the background.

Exit codes: 0 when told to end, 1 on an error (such as another one that runs in the same folder), 2 when called wrongly.`,
		Example: `  mockup controlplane
  mockup controlplane --state-dir /tmp/other --port 26500`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().IntVar(&port, "port", 0, "port of the API server (default: that of the last time, else a free one from 26443 on)")
	background := backgroundFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		state, err := a.state()
		if err != nil {
			return err
		}
		if err := state.Make(); err != nil {
			return err
		}
		crds, err := crd.Objects()
		if err != nil {
			return err
		}
		log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
		serve := func(ctx context.Context) error {
			return controlplane.Run(ctx, controlplane.Options{Dir: state.ControlPlane(), Port: port, CRDs: crds, OwnProcess: true}, func(c *rest.Config) {
				log.Info("serving", "server", c.Host, "kubeconfig", controlplane.KubeconfigPath(state.ControlPlane()))
				if err := systemd.NotifyReady(); err != nil {
					log.Error("ready, but nobody knows", "error", err.Error())
				}
			})
		}
		if !*background {
			return serve(cmd.Context())
		}
		return watchingOver(cmd.Context(), folder(state), processControlPlane, log, serve)
	}
	return cmd
}

// backgroundFlag is set by `mockup up` and by those who watch over the program.
func backgroundFlag(cmd *cobra.Command) *bool {
	background := cmd.Flags().Bool("background", false, "watch over the other programs of the state folder")
	_ = cmd.Flags().MarkHidden("background") // fails only for a flag that is not there
	return background
}

// exitOnError wraps an error of a background program, so that its log says what ended it.
func exitOnError(log *slog.Logger, name string, err error) error {
	if err == nil {
		return nil
	}
	log.Error("ended", "process", name, "error", err.Error())
	return fmt.Errorf("running %s: %w", name, err)
}
