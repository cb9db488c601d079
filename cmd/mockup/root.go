package main

import (
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mockup.dev/mockup/internal/processes"
	"mockup.dev/mockup/internal/statedir"
)

// app is what all verbs share.
type app struct {
	in       io.Reader
	out, err io.Writer
	stateDir string
	// begun tells whether the verb was called rightly and does its work.
	begun bool
}

// state is the folder where everything is kept.
func (a *app) state() (statedir.Dir, error) { return statedir.At(a.stateDir) }

// folder manages the background processes of state.
func folder(state statedir.Dir) processes.Folder {
	return processes.Folder{Run: state.Run(), Logs: state.Logs()}
}

// Groups of verbs in the help.
const (
	groupUse     = "use"
	groupInspect = "inspect"
	groupRun     = "run"
)

func newRoot(program string, a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "mockup",
		Short: "Run a small platform of containers from one resource",
		Long: `Runs stacks of services behind a TLS gateway on Podman, described by one Kubernetes resource, MockupStack.

A local control plane makes kubectl work without a cluster; an operator brings every stack to life and keeps it so.`,
		Example: `  mockup up -f stack.yaml          # everything, until the stack is ready
  mockup status --watch            # what runs, and what does not and why
  mockup down                      # stop; files and resources stay`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	if strings.HasPrefix(filepath.Base(program), "kubectl-") {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl mockup"}
		root.Example = strings.ReplaceAll(root.Example, "  mockup ", "  kubectl mockup ")
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&a.stateDir, "state-dir", statedir.Default(), "folder of the control plane's data, logs and keys ($"+statedir.Env+")")
	root.AddGroup(
		&cobra.Group{ID: groupUse, Title: "Use:"},
		&cobra.Group{ID: groupInspect, Title: "Look:"},
		&cobra.Group{ID: groupRun, Title: "Programs in the background, each also to be run by hand:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			for _, each := range append(c.Commands(), c) {
				each.RunE = a.beginning(each.RunE)
				if root.Annotations != nil {
					each.Example = strings.ReplaceAll(each.Example, "  mockup ", "  kubectl mockup ")
				}
			}
			root.AddCommand(c)
		}
	}
	add(groupUse, newUp(a), newDown(a), newInstall(a), newUninstall(a), newPlan(a), newRollout(a), newBackup(a), newRestore(a), newRender(a), newKubeconfig(a), newCA(a))
	add(groupInspect, newStatus(a), newLogs(a), newDoctor(a), newVersion(a), newCompletion(a))
	add(groupRun, newControlPlane(a), newManager(a), newNode())
	root.SetHelpCommandGroupID(groupInspect)
	return root
}

// beginning notes that a verb was called rightly: from there on, an error is not about the call.
func (a *app) beginning(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.begun = true
		return run(cmd, args)
	}
}
