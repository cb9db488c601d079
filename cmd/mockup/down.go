package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"mockup.dev/mockup/internal/backend/podman"
	"mockup.dev/mockup/internal/controlplane"
	"mockup.dev/mockup/internal/podmansocket"
	"mockup.dev/mockup/internal/progress"
	"mockup.dev/mockup/internal/statedir"
	"mockup.dev/mockup/manifests"
)

// downOptions are the flags of down.
type downOptions struct {
	purge, yes   bool
	timeout      time.Duration
	podmanSocket string
}

func newDown(a *app) *cobra.Command {
	var o downOptions
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop everything; files and resources stay",
		Long: `Stops the operator, the pods of every addon, the pods and networks of every stack, the control plane, and Podman's service if "mockup up"
started it. Volumes stay on Podman and resources in the control plane's store: the next "mockup up" brings all of it back.

With --purge, the volumes that were made for stacks and addons go too, after a question that --yes answers, and so does the state
folder. A volume that a stack adopted (existing: in its specification) is never removed, nor is what a BackupPolicy made: its
repository, of whose password you should have a copy by then, and restored volumes.

It may be called again at any time.

Exit codes: 0; 1 when something is left or the question was answered with no; 2 when called wrongly.`,
		Example: `  mockup down
  mockup down --purge
  mockup down --purge --yes`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.purge, "purge", false, "remove volumes, keys and resources too")
	flags.BoolVar(&o.yes, "yes", false, "do not ask before volumes are removed")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long all of it may take")
	flags.StringVar(&o.podmanSocket, "podman-socket", "", "URI of Podman's socket (default $CONTAINER_HOST, else where Podman has it)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		state, err := a.state()
		if err != nil {
			return err
		}
		d := &down{downOptions: o, app: a, state: state, list: progress.New(a.err)}
		return d.run(cmd.Context())
	}
	return cmd
}

// down is one call of the verb.
type down struct {
	downOptions
	*app
	state    statedir.Dir
	list     *progress.List
	bg       *background
	podman   string
	subjects []*subject
	volumes  []podmansocket.Volume
}

func (d *down) run(ctx context.Context) (err error) {
	if _, err := os.Stat(string(d.state)); errors.Is(err, os.ErrNotExist) && !d.purge {
		d.list.Note("✓", "nothing to stop: "+string(d.state)+" does not exist")
		return nil
	}
	if err := d.state.Make(); err != nil {
		return err
	}
	if d.bg, err = newBackground(d.state); err != nil {
		return err
	}
	if d.purge {
		if err := d.askForVolumes(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	if err := d.stopSubjects(ctx); err != nil {
		return err
	}
	if d.purge {
		if err := d.removeVolumes(ctx); err != nil {
			return err
		}
	}
	for _, name := range []string{processControlPlane, processPodman} {
		if err := d.end(ctx, name); err != nil {
			return err
		}
	}
	if d.purge {
		return d.list.Step("state folder", func(func(string)) (string, error) {
			return "state folder removed: " + string(d.state), d.state.Purge()
		})
	}
	return nil
}

// end ends a background program, and shows nothing if it did not run.
func (d *down) end(ctx context.Context, name string) error {
	if d.bg.Running(name) == 0 {
		return d.bg.End(ctx, name) // it may still be wanted, and be started again just now
	}
	return d.list.Step(name, func(func(string)) (string, error) { return name + " stopped", d.bg.End(ctx, name) })
}

// stopSubjects learns which stacks and addons there are, ends the operator and takes their pods and networks away.
func (d *down) stopSubjects(ctx context.Context) error {
	if err := d.findSubjects(ctx); err != nil {
		return err
	}
	if err := d.end(ctx, processOperator); err != nil {
		return err
	}
	if len(d.subjects) == 0 {
		return nil
	}
	b := podman.New(podman.Options{URI: d.podman, Log: logr.Discard()})
	for _, group := range stopOrder(d.subjects) {
		name := groupName(group)
		err := d.list.Step(name, func(say func(string)) (string, error) {
			var removals []manifests.Set
			for _, s := range group {
				removals = append(removals, removalOf(s, d.purge))
			}
			return name + " stopped", takeDown(ctx, b, removals, say)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// findSubjects asks the control plane, which is started for it if it was there before and does not run now: pods go on
// without it.
func (d *down) findSubjects(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(d.state.ControlPlane(), "etcd")); err != nil {
		return nil // none was ever there
	}
	if d.bg.Running(processControlPlane) == 0 && !d.anythingLeft(ctx) {
		return nil
	}
	return d.list.Step("stacks", func(func(string)) (string, error) {
		if err := controlplane.Healthy(ctx, d.state.ControlPlane()); err != nil {
			if _, err := d.bg.startControlPlane(ctx); err != nil {
				return "", err
			}
		}
		c, err := newClient(d.state)
		if err != nil {
			return "", err
		}
		if d.subjects, err = subjects(ctx, c, ""); err != nil {
			return "", err
		}
		if len(d.subjects) > 0 {
			if d.podman, _, err = ensurePodman(ctx, d.bg, d.podmanSocket); err != nil {
				return "", err
			}
		}
		return "found " + countedKinds(d.subjects), nil
	})
}
