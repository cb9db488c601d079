package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"

	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/internal/imagemap"
	"mockup.dev/mockup/manifests"
)

// renderOptions are the flags of render.
type renderOptions struct {
	files      []string
	imageMap   string
	newSecrets string
	check      bool
}

func newRender(a *app) *cobra.Command {
	var o renderOptions
	cmd := &cobra.Command{
		Use:   "render -f FILE...",
		Short: "Print the manifests of stacks, addons and backups",
		Long: `Prints the standard Kubernetes manifests that a stack stands for, or the addon that watches it, or one run of the policy that backs it up.
It needs no server and no Podman, and prints the same bytes for the same input. The head of the output says how to run it with
"podman kube play".

Files may hold Secrets and ConfigMaps beside stacks, addons and policies. The stack that an addon watches, or a policy backs up,
has to be in one of them; with an addon it is rendered as it is then: it sends traces there. Secrets are never printed; those that are referred to and are in
no file are listed on standard error. Other objects are left out.

With --check, it prints instead what Podman would not do as the manifests say, as a table or with "-o json": the object, the
path of the field, and why.

Exit codes: 0, also when Secrets are missing; 1 when a file can't be written; 2 when the call or a file is wrong, with one
line for each field; with --check, 3 when there is something that Podman would not do.`,
		Example: `  mockup render -f stack.yaml > stack-manifests.yaml
  mockup render -f stack.yaml --new-secrets secrets.yaml --image-map bin/images.yaml
  mockup render -f stack.yaml -f secrets.yaml -o json
  mockup render -f stack.yaml -f observability.yaml > manifests.yaml
  mockup render -f stack.yaml --check`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&o.files, "filename", "f", nil, "file with stacks, addons, policies, Secrets and ConfigMaps, - for standard input; may be repeated")
	flags.StringVar(&o.imageMap, "image-map", "", "YAML file that maps image references to those that are run in their place")
	flags.StringVar(&o.newSecrets, "new-secrets", "", "file to write the Secrets to that the operator would make; it must not exist")
	flags.BoolVar(&o.check, "check", false, "print what Podman would not do as written, instead of the manifests")
	output := outputFlag(cmd, formYAML, formJSON)
	if err := cmd.MarkFlagRequired("filename"); err != nil {
		panic(err) // the flag is defined above
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.render(cmd.Context(), o, *output) }
	return cmd
}

func (a *app) render(ctx context.Context, o renderOptions, form string) error {
	found, err := documents.Read(o.files, a.in)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	in, err := readInput(ctx, found)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if in.images, err = imagemap.Load(o.imageMap); err != nil {
		return &exitError{exitUsage, err}
	}
	if o.newSecrets != "" {
		if err := in.makeSecrets(o.newSecrets); err != nil {
			return err
		}
	}
	in.running = true
	sets, missing, err := in.render()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	for _, m := range missing {
		for _, r := range m {
			fmt.Fprintln(a.err, "missing:", r)
		}
	}
	if o.check {
		return check(a.out, form, sets)
	}
	if form == formJSON {
		return printSetsJSON(a.out, sets)
	}
	for i, set := range sets {
		if i > 0 {
			fmt.Fprintln(a.out, "---")
		}
		if err := manifests.Print(a.out, set, manifests.PrintOptions{Missing: missing[i], File: fileName(o.files)}); err != nil {
			return err
		}
	}
	return nil
}

// fileName under which the output may be kept, for the command in its head.
func fileName(files []string) string {
	if len(files) == 0 || files[0] == "-" {
		return ""
	}
	base := filepath.Base(files[0])
	return base[:len(base)-len(filepath.Ext(base))] + "-manifests.yaml"
}

func printSetsJSON(w io.Writer, sets []manifests.Set) error {
	items := []any{}
	for _, set := range sets {
		for _, o := range set.Objects {
			fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
			if err != nil {
				return fmt.Errorf("printing %s: %w", manifests.RefOf(o), err)
			}
			delete(fields, "status")
			items = append(items, fields)
		}
	}
	return printJSON(w, map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}
