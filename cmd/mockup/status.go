package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"mockup.dev/mockup/api/v1alpha1"
)

// statusOptions are the flags of status.
type statusOptions struct {
	name, namespace string
	all, watch      bool
}

func newStatus(a *app) *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status [STACK]",
		Short: "Show stacks and addons, and their workloads",
		Long: `Shows each stack with its workloads: what is ready, restarts, where it is reached, and why something is not ready. Beneath
it is the addon that watches it: its programs, how many of the targets are reached, and when the last log line and trace came.
Refusals are fields that the backend does not honour as written; "-o yaml" lists them.

With -o json and -o yaml, it is a List of the resources as the control plane has them, stacks before addons.

Exit codes: 0 when every stack and addon shown is ready, 1 when one is not or none is there, 2 when called wrongly, 3 when the
control plane does not answer.`,
		Example: `  mockup status
  mockup status mockup -n default -o yaml
  mockup status --watch`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeStacks,
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.namespace, "namespace", "n", "", "namespace (default: all, or \"default\" with a name)")
	flags.BoolVarP(&o.all, "all-namespaces", "A", false, "those of every namespace")
	flags.BoolVarP(&o.watch, "watch", "w", false, "go on showing changes until interrupted")
	output := outputFlag(cmd, formTable, formJSON, formYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			o.name = args[0]
			if o.namespace == "" && !o.all {
				o.namespace = defaultNamespace
			}
		}
		if o.all {
			o.namespace = ""
		}
		state, err := a.state()
		if err != nil {
			return err
		}
		c, err := reach(cmd.Context(), state)
		if err != nil {
			return err
		}
		if o.watch {
			return watchStatus(cmd.Context(), c, o, *output, a.out)
		}
		found, err := o.find(cmd.Context(), c)
		if err != nil {
			return err
		}
		return printStatus(a.out, *output, found, time.Now())
	}
	return cmd
}

// find lists what is asked for.
func (o statusOptions) find(ctx context.Context, c client.Reader) ([]*subject, error) {
	all, err := subjects(ctx, c, o.namespace)
	if err != nil || o.name == "" {
		return all, err
	}
	return slices.DeleteFunc(all, func(s *subject) bool { return s.stack != o.name }), nil
}

// watchStatus prints again whenever a stack or an addon changes, until ctx ends.
func watchStatus(ctx context.Context, c client.WithWatch, o statusOptions, form string, w io.Writer) error {
	last := ""
	for ctx.Err() == nil {
		err := onChanges(ctx, c, o.namespace, func() error {
			found, err := o.find(ctx, c)
			if err != nil {
				return nil // begun anew
			}
			var b strings.Builder
			_ = printStatus(&b, form, found, time.Now()) // what is not ready is no error of a watch
			now := b.String()
			if now == last {
				return nil
			}
			last = now
			_, err = fmt.Fprintf(w, "%s\n", now)
			return err
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// onChanges calls do when a stack or an addon has changed, once for several changes at a time, until one of the watches ends.
func onChanges(ctx context.Context, c client.WithWatch, namespace string, do func() error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	changed := make(chan struct{}, 1)
	for _, k := range kinds {
		events, err := c.Watch(ctx, k.list(), client.InNamespace(namespace))
		if err != nil {
			return fmt.Errorf("watching %ss: %w", k.word, err)
		}
		go func() {
			defer stop()
			for range events.ResultChan() {
				select {
				case changed <- struct{}{}:
				default: // known already
				}
			}
		}()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			if err := do(); err != nil {
				return err
			}
		}
	}
}

// printStatus prints stacks and addons. Its error, if not all are ready, has nothing to say beside.
func printStatus(w io.Writer, form string, found []*subject, now time.Time) error {
	if err := printSubjects(w, form, found, now); err != nil {
		return err
	}
	if len(found) == 0 || slices.ContainsFunc(found, func(s *subject) bool { return !judge(s).ready }) {
		return &exitError{exitFailed, nil}
	}
	return nil
}

// printSubjects prints them as a tree, or as the List that kubectl prints of several kinds.
func printSubjects(w io.Writer, form string, found []*subject, now time.Time) error {
	if form == formTable {
		return printTree(w, found, now)
	}
	items := make([]client.Object, 0, len(found))
	for _, s := range found {
		s.SetManagedFields(nil)
		s.GetObjectKind().SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(s.kind.name))
		items = append(items, s.Object)
	}
	list := map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}, "items": items}
	if form == formJSON {
		return printJSON(w, list)
	}
	return printYAML(w, list)
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
