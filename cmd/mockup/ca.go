package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newCA(a *app) *cobra.Command {
	namespace := ""
	cmd := &cobra.Command{
		Use:   "ca [STACK]",
		Short: "Print the certificate authority of a stack",
		Long: `Prints, as PEM, the certificate authority that the operator made for the gateway of a stack with a self-signed
certificate, for curl, browsers and trust stores; without a name, those of all stacks.

Exit codes: 0; 1 when there is none; 2 when called wrongly; 3 when the control plane does not answer.`,
		Example: `  mockup ca mockup > ca.crt && curl --cacert ca.crt https://localhost:8443/
  mockup ca | sudo tee /usr/local/share/ca-certificates/mockup.crt`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeStacks,
	}
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "namespace (default: all, or \"default\" with a name)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o := statusOptions{namespace: namespace}
		if len(args) == 1 {
			o.name, o.namespace = args[0], either(namespace, defaultNamespace)
		}
		state, err := a.state()
		if err != nil {
			return err
		}
		c, err := reach(cmd.Context(), state)
		if err != nil {
			return err
		}
		found, err := o.find(cmd.Context(), c)
		if err != nil {
			return err
		}
		all, err := authorities(cmd.Context(), c, found)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return fmt.Errorf("no certificate authority: no such stack has tls.selfSigned")
		}
		_, err = a.out.Write(all)
		return err
	}
	return cmd
}
