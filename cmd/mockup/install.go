package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mockup.dev/mockup/internal/documents"
	"mockup.dev/mockup/internal/host"
	"mockup.dev/mockup/internal/podmansocket"
	"mockup.dev/mockup/internal/progress"
	"mockup.dev/mockup/internal/statedir"
	"mockup.dev/mockup/internal/systemd"
)

// installOptions are the flags of install and uninstall.
type installOptions struct {
	system, user bool
	dryRun, now  bool
	files        []string
	timeout      time.Duration
	podmanSocket string
}

func newInstall(a *app) *cobra.Command {
	var o installOptions
	cmd := &cobra.Command{
		Use:   "install [--user|--system] [-f FILE]...",
		Short: "Have systemd start everything at boot",
		Long: `Writes units of systemd for the control plane, the operator and the node agent, so that the platform and its stacks come
back after a reboot. With --user (default for users other than root) they are yours, in $XDG_CONFIG_HOME/systemd/user; with
--system (default for root) the machine's, in /etc/systemd/system.

From then on systemd keeps the programs running: "mockup up" and "mockup down" start and stop the units. What runs already is
left alone until the next "mockup up"; --now calls that at once. With -f, which means --now, it also applies these files.

It may be called again, and "mockup uninstall" takes it back. Where there is no systemd it changes nothing.

Exit codes: 0; 1 when a unit can't be written or started, or there is no systemd; 2 when the call or a file is wrong.`,
		Example: `  mockup install                            # at the next boot
  mockup install -f stack.yaml              # now, and at every boot
  mockup install --user --dry-run           # print the units`,
		Args: cobra.NoArgs,
	}
	o.addFlags(cmd, "print what would be written, and change nothing")
	flags := cmd.Flags()
	flags.BoolVar(&o.now, "now", false, "start it now, too")
	flags.StringArrayVarP(&o.files, "filename", "f", nil, "file of objects to apply, - for standard input; may be repeated")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long starting may take")
	flags.StringVar(&o.podmanSocket, "podman-socket", "", "URI of Podman's socket (default $CONTAINER_HOST, else where Podman has it)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		i, err := newInstallation(a, o)
		if err != nil {
			return err
		}
		objects, err := documents.Read(o.files, a.in)
		if err != nil {
			return &exitError{exitUsage, err}
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
		defer cancel()
		if err := i.run(ctx); err != nil || o.dryRun || !o.now && len(objects) == 0 {
			return err
		}
		u := &up{upOptions: upOptions{timeout: o.timeout, podmanSocket: o.podmanSocket}, state: i.state, objects: objects, list: i.list}
		if err := u.run(ctx); err != nil {
			return err
		}
		return u.report(a.out, formText)
	}
	return cmd
}

func (o *installOptions) addFlags(cmd *cobra.Command, dryRun string) {
	flags := cmd.Flags()
	flags.BoolVar(&o.user, "user", false, "your own units")
	flags.BoolVar(&o.system, "system", false, "the machine's units; needs root")
	cmd.MarkFlagsMutuallyExclusive("user", "system")
	flags.BoolVar(&o.dryRun, "dry-run", false, dryRun)
}

// scope that the flags name. A platform of root's has its socket and folders where root's are.
func (o *installOptions) scope() (systemd.Scope, error) {
	own := ownScope()
	switch {
	case o.system && own != systemd.System:
		return "", &exitError{exitUsage, errors.New("--system needs root: its units are for root's Podman; as you, use --user")}
	case o.user && own != systemd.User:
		return "", &exitError{exitUsage, errors.New("--user is for users other than root: root's Podman is the machine's, use --system")}
	}
	return own, nil
}

// installation is one call of install or uninstall.
type installation struct {
	installOptions
	*app
	manager systemd.Manager
	host    host.Host
	state   statedir.Dir
	list    *progress.List
}

func newInstallation(a *app, o installOptions) (*installation, error) {
	scope, err := o.scope()
	if err != nil {
		return nil, err
	}
	state, err := a.state()
	if err != nil {
		return nil, err
	}
	manager, err := managerOf(scope)
	if err != nil {
		return nil, err
	}
	return &installation{installOptions: o, app: a, manager: manager, host: host.This(), state: state, list: progress.New(a.err)}, nil
}

func (i *installation) run(ctx context.Context) error {
	if !i.dryRun && !i.host.Systemd {
		return fmt.Errorf("this machine does not run systemd (pid 1 is %s); %q keeps its processes running by itself until a reboot",
			i.host.Init, "mockup up")
	}
	if !i.dryRun {
		if err := i.state.Make(); err != nil {
			return err
		}
	}
	units, err := i.units(ctx)
	if err != nil {
		return err
	}
	if i.dryRun {
		return i.print(units)
	}
	for _, step := range []struct {
		name string
		do   func(context.Context, []systemd.Unit) error
		done string
	}{
		{"units", i.manager.Write, fmt.Sprintf("%s written to %s", counted(len(units), "unit"), i.manager.Dir)},
		{"boot", i.manager.Enable, "started at boot from now on"},
	} {
		err := i.list.Step(step.name, func(func(string)) (string, error) { return step.done, step.do(ctx, units) })
		if err != nil {
			return err
		}
	}
	if lack, ok := i.host.Lack(host.TopicBoot); ok {
		i.list.Note("!", lack.String()+"\n  → "+lack.Mend)
	}
	return nil
}

func (i *installation) units(ctx context.Context) ([]systemd.Unit, error) {
	bg, err := newBackground(i.state)
	if err != nil {
		return nil, err
	}
	podman, err := podmansocket.Find(ctx, i.podmanSocket)
	if err != nil {
		podman = podmansocket.Candidates(i.podmanSocket)[0]
	}
	// A socket that the user names is kept by whoever keeps it.
	named := i.podmanSocket != "" || os.Getenv(podmansocket.Env) != ""
	own := bg.Running(processPodman) != 0 || !named && !systemd.Knows(i.manager.Scope, "podman.socket")
	services, err := bg.services(podman, own)
	if err != nil {
		return nil, err
	}
	return bg.platform(i.manager.Scope).Units(services), nil
}

// print what would be done.
func (i *installation) print(units []systemd.Unit) error {
	for _, u := range units {
		if _, err := fmt.Fprintf(i.out, "# %s/%s\n%s\n", i.manager.Dir, u.Name, u.Render()); err != nil {
			return err
		}
	}
	return nil
}
