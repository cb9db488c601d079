package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/podman"
	"mockup.dev/mockup/internal/controlplane"
	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/internal/imagemap"
	"mockup.dev/mockup/internal/podmansocket"
	"mockup.dev/mockup/manifests"
)

// planOptions are the flags of plan.
type planOptions struct {
	files        []string
	imageMap     string
	podmanSocket string
	detailed     bool
}

func newPlan(a *app) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan -f FILE...",
		Short: "Show what applying files would change, and what that would interrupt",
		Long: `Shows what "mockup up -f" would create, update in place, replace or remove on Podman, how long the clients of each are
expected to go unserved and why, and what Podman would not do as written. It changes nothing.

Where the control plane runs, it is asked what it would make of the objects, and for the Secrets and ConfigMaps that these
refer to; else the files have to hold them. Certificates and passwords that the operator would make are made up for the
purpose. Stacks that are in no file are left alone, and not shown, unless an addon in the files watches them; and an addon is
shown with the stack that it watches, since each is told of the other.

Exit codes: 0 when it is known what would happen; 1 when it is not, or nothing would since a reference is missing; 2 when the
call or a file is wrong; with --detailed-exitcode, 3 when there is anything to do.`,
		Example: `  mockup plan -f stack.yaml
  mockup plan -f stack.yaml -f secrets.yaml --image-map bin/images.yaml -o json
  mockup plan -f observability.yaml
  mockup plan -f stack.yaml --detailed-exitcode > plan.txt || test $? = 3`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&o.files, "filename", "f", nil, "file with stacks, addons, Secrets and ConfigMaps, - for standard input; may be repeated")
	flags.StringVar(&o.imageMap, "image-map", "",
		"YAML file that maps image references to those that are run in their place (default: that of the last \"up\")")
	flags.StringVar(&o.podmanSocket, "podman-socket", "", "URI of Podman's socket (default $CONTAINER_HOST, else where Podman has it)")
	flags.BoolVar(&o.detailed, "detailed-exitcode", false, "tell by exit code 3 that there is anything to do")
	output := outputFlag(cmd, formTable, formJSON)
	if err := cmd.MarkFlagRequired("filename"); err != nil {
		panic(err) // the flag is defined above
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.plan(cmd.Context(), o, *output) }
	return cmd
}

func (a *app) plan(ctx context.Context, o planOptions, form string) error {
	in, notes, err := a.planInput(ctx, o)
	if err != nil {
		return err
	}
	sets, missing, err := in.render()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	for i, m := range missing {
		if len(m) > 0 {
			return fmt.Errorf("nothing would be done for %s: %w", titleOf(sets[i].Owner), &manifests.MissingError{References: m})
		}
	}
	previewer, err := findPreviewer(ctx, o.podmanSocket)
	if err != nil {
		return err
	}
	p := plan{Notes: notes, Stacks: []stackPlan{}}
	for _, set := range sets {
		forecast, err := previewer.Preview(ctx, set)
		if err != nil {
			return fmt.Errorf("foreseeing the changes of %s: %w", titleOf(set.Owner), err)
		}
		p.add(set.Owner, forecast)
	}
	if err := p.print(a.out, form); err != nil {
		return err
	}
	if o.detailed && p.anything() {
		return &exitError{exitFound, nil}
	}
	return nil
}

func nameOf(o manifests.Owner) string { return o.Namespace + "/" + o.Name }

// planInput is what the files hold, completed by what the control plane knows, and what a reader should know of it.
func (a *app) planInput(ctx context.Context, o planOptions) (*renderInput, []string, error) {
	found, err := documents.Read(o.files, a.in)
	if err != nil {
		return nil, nil, &exitError{exitUsage, err}
	}
	state, err := a.state()
	if err != nil {
		return nil, nil, err
	}
	in, err := readInput(ctx, found)
	if err != nil {
		return nil, nil, &exitError{exitUsage, err}
	}
	if in.images, err = imagemap.Load(either(o.imageMap, existing(state.ImageMap()))); err != nil {
		return nil, nil, &exitError{exitUsage, err}
	}
	var notes []string
	switch err := controlplane.Healthy(ctx, state.ControlPlane()); {
	case errors.Is(err, controlplane.ErrNotRunning):
		notes = append(notes, "The control plane is not running: Secrets and ConfigMaps are those of the files, and a Secret counts as changed.")
	case err != nil:
		return nil, nil, err
	default:
		api, err := newClient(state)
		if err != nil {
			return nil, nil, err
		}
		if err := in.foresee(ctx, api, found); err != nil {
			return nil, nil, err
		}
	}
	made, err := in.foreseeCertificates()
	return in, slices.Concat(notes, made, in.foreseePasswords()), err
}

// findPreviewer is Podman's backend on this host; no service is started for it.
func findPreviewer(ctx context.Context, socket string) (backend.Previewer, error) {
	uri, err := podmansocket.Find(ctx, socket)
	if err != nil {
		return nil, fmt.Errorf("%w; start it with %q, or name it with --podman-socket", err, "podman system service")
	}
	return podman.New(podman.Options{URI: uri, Log: logr.Discard()}), nil
}
