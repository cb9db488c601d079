package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// completionPatience is how long a shell may wait for names.
const completionPatience = 2 * time.Second

// completeStacks completes the names of stacks.
func (a *app) completeStacks(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(cmd, args, stackKind)
}

// completeSubjects completes the names of stacks, and those of addons with their kind before them.
func (a *app) completeSubjects(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(cmd, args, kinds...)
}

// complete the first argument by the names of what is there of some kinds.
func (a *app) complete(cmd *cobra.Command, args []string, of ...*kind) ([]string, cobra.ShellCompDirective) {
	state, err := a.state()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), completionPatience)
	defer cancel()
	c, err := reach(ctx, state)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, k := range of {
		all, err := k.subjects(ctx, c, "")
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		for _, s := range all {
			names = append(names, k.argument(s.GetName()))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
