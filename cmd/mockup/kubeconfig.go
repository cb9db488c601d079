package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"mockup.dev/mockup/internal/controlplane"
)

func newKubeconfig(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of the kubeconfig",
		Long: `Prints the path of the administrator's kubeconfig for the local control plane.

Exit codes: 0; 1 when there is none, since "mockup up" was never called; 2 when called wrongly.`,
		Example: `  kubectl --kubeconfig "$(mockup kubeconfig)" get mockupstacks -A
  export KUBECONFIG="$(mockup kubeconfig)"`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			state, err := a.state()
			if err != nil {
				return err
			}
			path := controlplane.KubeconfigPath(state.ControlPlane())
			if _, err := os.Stat(path); err != nil {
				return fmt.Errorf("there is no kubeconfig yet: %w; call %q first", err, "mockup up")
			}
			_, err = fmt.Fprintln(a.out, path)
			return err
		},
	}
}
