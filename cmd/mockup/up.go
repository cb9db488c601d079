package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/internal/controlplane"
	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/internal/processes"
	"mockup.dev/mockup/internal/progress"
	"mockup.dev/mockup/internal/statedir"
)

// upOptions are the flags of up.
type upOptions struct {
	files        []string
	imageMap     string
	imageMapSet  bool
	timeout      time.Duration
	podmanSocket string
	skipChecks   bool
}

func newUp(a *app) *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up [-f FILE]...",
		Short: "Start everything and wait until it is ready",
		Long: `Starts the local control plane and the operator in the background, Podman's service if none answers, applies the
objects of the files, and waits until every stack in them is ready, and then every addon; without files, until all that are
there are.

It may be called again at any time: what runs already stays as it is, unless this program or its flags have changed.
Files are applied server-side under the name mockup-up; what they say goes before what others have set.

Exit codes: 0 when all of them are ready, 1 when one is not (the message says why), 2 when the call or a file is wrong.`,
		Example: `  mockup up -f config/samples/mockup.yaml
  mockup up -f config/samples/mockup.yaml -f config/samples/observability.yaml
  mockup up -f stack.yaml -f secrets.yaml --image-map bin/images.yaml --timeout 10m
  mockup up                        # again what was there before "mockup down"`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&o.files, "filename", "f", nil, "file of objects to apply, - for standard input; may be repeated")
	flags.StringVar(&o.imageMap, "image-map", "", "YAML file that maps image references to those that are run in their place (default: that of the last time)")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long all of it may take")
	flags.StringVar(&o.podmanSocket, "podman-socket", "", "URI of Podman's socket (default $CONTAINER_HOST, else where Podman has it)")
	flags.BoolVar(&o.skipChecks, "skip-checks", false, "do not look at the host first")
	output := outputFlag(cmd, formText, formJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.imageMapSet = cmd.Flags().Changed("image-map")
		state, err := a.state()
		if err != nil {
			return err
		}
		objects, err := documents.Read(o.files, a.in)
		if err != nil {
			return &exitError{exitUsage, err}
		}
		u := &up{upOptions: o, state: state, objects: objects, list: progress.New(a.err)}
		ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
		defer cancel()
		if err := u.run(ctx); err != nil {
			return err
		}
		return u.report(a.out, *output)
	}
	return cmd
}

// up is one call of the verb.
type up struct {
	upOptions
	state   statedir.Dir
	objects []documents.Document
	list    *progress.List
	bg      *background
	podman  string
	api     client.WithWatch
	ready   []*subject
	ca      bool
}

func (u *up) run(ctx context.Context) (err error) {
	if err := u.state.Make(); err != nil {
		return err
	}
	if u.bg, err = newBackground(u.state); err != nil {
		return err
	}
	if u.imageMapSet {
		if err := keepImageMap(u.state, u.imageMap); err != nil {
			return &exitError{exitUsage, err}
		}
	}
	for _, step := range []struct {
		name string
		do   func(context.Context, func(string)) (string, error)
	}{
		{"Podman", u.findPodman},
		{"host", u.checkHost},
		{"control plane", u.startControlPlane},
		{"operator", u.startOperator},
		{"apply", u.apply},
	} {
		err := u.list.Step(step.name, func(say func(string)) (string, error) { return step.do(ctx, say) })
		if err != nil {
			return err
		}
	}
	if err := u.wait(ctx); err != nil {
		return err
	}
	return u.writeCA(ctx)
}

// findPodman finds the socket, or has Podman open it.
func (u *up) findPodman(ctx context.Context, _ func(string)) (what string, err error) {
	u.podman, what, err = ensurePodman(ctx, u.bg, u.podmanSocket)
	return what, err
}

// startControlPlane starts the control plane. After a crash of both, it would have the operator run at once, before the
// statuses are known to be out of date.
func (u *up) startControlPlane(ctx context.Context, _ func(string)) (string, error) {
	if u.bg.Running(processControlPlane) == 0 && u.bg.Running(processOperator) == 0 {
		if err := u.bg.End(ctx, processOperator); err != nil {
			return "", err
		}
	}
	change, err := u.bg.startControlPlane(ctx)
	if err != nil {
		return "", err
	}
	if u.api, err = newClient(u.state); err != nil {
		return "", err
	}
	return fmt.Sprintf("control plane %s", change), nil
}

// startOperator starts the operator. As long as none has run, what statuses say is out of date: the pods went
// with "mockup down", or with the host.
func (u *up) startOperator(ctx context.Context, _ func(string)) (string, error) {
	if u.bg.Running(processOperator) == 0 {
		if err := markUnknown(ctx, u.api); err != nil {
			return "", err
		}
	}
	change, err := u.bg.startOperator(ctx, u.podman)
	if err != nil {
		return "", err
	}
	if change == processes.Restarted {
		return "operator restarted: its program, flags or image map changed", nil
	}
	return fmt.Sprintf("operator %s", change), nil
}

// kubeconfig is the path for the user.
func (u *up) kubeconfig() string { return controlplane.KubeconfigPath(u.state.ControlPlane()) }
