package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		Short: "Show stacks and their workloads",
		Long: `Shows each stack with its workloads: what is ready, restarts, where it is reached, and why something is not ready.
Refusals are fields that the backend does not honour as written; "-o yaml" lists them.

Exit codes: 0 when every stack shown is ready, 1 when one is not or none is there, 2 when called wrongly, 3 when the
control plane does not answer.`,
		Example: `  mockup status
  mockup status mockup -n default -o yaml
  mockup status --watch`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeStacks,
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.namespace, "namespace", "n", "", "namespace (default: all, or \"default\" with a name)")
	flags.BoolVarP(&o.all, "all-namespaces", "A", false, "stacks of every namespace")
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

// find lists the stacks that are asked for.
func (o statusOptions) find(ctx context.Context, c client.Reader) ([]v1alpha1.MockupStack, error) {
	all, err := stacks(ctx, c, o.namespace)
	if err != nil || o.name == "" {
		return all, err
	}
	var found []v1alpha1.MockupStack
	for _, s := range all {
		if s.Name == o.name {
			found = append(found, s)
		}
	}
	return found, nil
}

// watchStatus prints again whenever a stack changes.
func watchStatus(ctx context.Context, c client.WithWatch, o statusOptions, form string, w io.Writer) error {
	last := ""
	for {
		events, err := c.Watch(ctx, &v1alpha1.MockupStackList{}, client.InNamespace(o.namespace))
		if err != nil {
			return fmt.Errorf("watching stacks: %w", err)
		}
		for range events.ResultChan() {
			found, err := o.find(ctx, c)
			if err != nil {
				break
			}
			var b strings.Builder
			_ = printStatus(&b, form, found, time.Now()) // what is not ready is no error of a watch
			if now := b.String(); now != last {
				last = now
				if _, err := fmt.Fprintf(w, "%s\n", now); err != nil {
					return err
				}
			}
		}
		events.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// printStatus prints the stacks. Its error, if not all are ready, has nothing to say beside.
func printStatus(w io.Writer, form string, found []v1alpha1.MockupStack, now time.Time) error {
	if err := printStacks(w, form, found, now); err != nil {
		return err
	}
	if len(found) == 0 {
		return &exitError{exitFailed, nil}
	}
	for i := range found {
		if !judge(&found[i]).ready {
			return &exitError{exitFailed, nil}
		}
	}
	return nil
}

func printStacks(w io.Writer, form string, found []v1alpha1.MockupStack, now time.Time) error {
	if form == formTable {
		return printTable(w, found, now)
	}
	list := v1alpha1.MockupStackList{Items: []v1alpha1.MockupStack{}}
	list.APIVersion, list.Kind = v1alpha1.GroupVersion.String(), "MockupStackList"
	for _, s := range found {
		s.ManagedFields = nil
		s.APIVersion, s.Kind = v1alpha1.GroupVersion.String(), "MockupStack"
		list.Items = append(list.Items, s)
	}
	if form == formJSON {
		return printJSON(w, list)
	}
	return printYAML(w, list)
}

func printTable(w io.Writer, found []v1alpha1.MockupStack, now time.Time) error {
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "No stacks.")
		return err
	}
	for i := range found {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := printStack(w, &found[i], now); err != nil {
			return err
		}
	}
	return nil
}

func printStack(w io.Writer, s *v1alpha1.MockupStack, now time.Time) error {
	ready, reason := "Unknown", ""
	var since metav1.Time
	if c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		ready, reason, since = string(c.Status), c.Reason, c.LastTransitionTime
	}
	fmt.Fprintf(w, "%s  ready: %s", keyOf(s), ready)
	if ready != "True" && reason != "" {
		fmt.Fprintf(w, " (%s)", reason)
	}
	if !since.IsZero() {
		fmt.Fprintf(w, " since %s", now.Sub(since.Time).Truncate(time.Second))
	}
	if s.Status.URL != "" {
		fmt.Fprintf(w, "  %s", s.Status.URL)
	}
	fmt.Fprintln(w)
	if v := judge(s); !v.ready {
		fmt.Fprintf(w, "  %s\n", v.text)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  WORKLOAD\tPHASE\tREADY\tRESTARTS\tENDPOINTS\tREASON")
	for _, l := range workloads(s) {
		fmt.Fprintf(table, "  %s\t%s\t%s\t%d\t%s\t%s\n", l.Name, l.Phase, l.Ready, l.Restarts, either(strings.Join(l.Endpoints, ","), "-"), either(l.Reason, "-"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if n := len(s.Status.Refusals); n > 0 {
		fmt.Fprintf(w, "  %s, see: status %s -n %s -o yaml\n", counted(n, "refusal"), s.Name, s.Namespace)
	}
	return nil
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// completeStacks completes the names of stacks.
func (a *app) completeStacks(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	state, err := a.state()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), 2*time.Second)
	defer cancel()
	c, err := reach(ctx, state)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := stacks(ctx, c, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
