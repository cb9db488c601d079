package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func newRolloutStatus(a *app) *cobra.Command {
	f := follower{patience: stallPatience}
	timeout, follow := time.Duration(0), false
	cmd := &cobra.Command{
		Use:   "status [STACK | addon/NAME]",
		Short: "Wait until a change of a stack or an addon has reached every pod",
		Long: `Waits until what is specified now has reached every pod of a stack, an addon, or one service, and all of them are ready. It tells
what is waited for whenever that changes, and gives up when the operator says that no progress is possible without a change,
as when a roll-out exceeds its progressDeadlineSeconds or a container crashes again and again.

Exit codes: 0 when it is rolled out; 1 when it has failed, or is not done in time, or with --watch=false is not done; 2 when
called wrongly; 3 when the control plane does not answer.`,
		Example: `  mockup rollout status
  mockup rollout status mockup --service public-app --timeout 2m
  mockup rollout status addon/mockup
  mockup rollout status mockup --watch=false -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeSubjects,
	}
	namespace := namespaceFlag(cmd)
	cmd.Flags().StringVar(&f.service, "service", "", "a service of the stack, \"gateway\", or a component of the addon (default: all of it)")
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait")
	cmd.Flags().BoolVarP(&follow, "watch", "w", true, "wait until it is done; else tell how it is")
	output := outputFlag(cmd, formText, formJSON)
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if timeout <= 0 {
			return &exitError{exitUsage, fmt.Errorf("--timeout is %s, and must be more than 0s", timeout)}
		}
		return check(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, args := typed(args)
		c, s, err := a.reachSubject(cmd.Context(), *namespace, k, args)
		if err != nil {
			return err
		}
		f.say = func(text string) { fmt.Fprintln(a.out, text) }
		if *output == formJSON {
			f.say = func(string) {}
		}
		if !follow {
			timeout = 0
		}
		if err = f.report(cmd.Context(), c, s, timeout); *output == formJSON && f.last.Phase != rolloutUnknown {
			err = errors.Join(printJSON(a.out, f.last), err)
		}
		return err
	}
	return cmd
}

// follower watches a roll-out.
type follower struct {
	kind    *kind
	key     client.ObjectKey
	service string
	// patience with a roll-out that has failed: what it lacks may be about to come.
	patience time.Duration
	say      func(string)

	generation int64
	last       rollout
	said       string
	// failure that was seen last, and when. A container that crashes is started again and looks well for a moment, so that
	// patience runs from the first failure of a generation and not from each.
	failure  rollout
	failedAt time.Time
	timer    *time.Timer
}

// report tells how the roll-out of s is, and follows it for so long; its error says why it is not done.
func (f *follower) report(ctx context.Context, c client.WithWatch, s *subject, timeout time.Duration) error {
	f.kind, f.key, f.last = s.kind, client.ObjectKeyFromObject(s), rolloutOf(s, f.service)
	switch {
	case f.last.Phase == rolloutUnknown:
		return &exitError{exitUsage, errors.New(f.last.Message)}
	case timeout > 0:
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return f.follow(ctx, c)
	}
	f.say(f.last.line())
	if f.last.Phase != rolloutComplete {
		return &exitError{exitFailed, nil}
	}
	return nil
}

// follow returns when the roll-out is done; its error says why it is not.
func (f *follower) follow(ctx context.Context, c client.WithWatch) error {
	for {
		done, err := f.watch(ctx, c)
		if done || err != nil {
			return err
		}
	}
}

// watch returns false when the watch ended before anything was decided.
func (f *follower) watch(ctx context.Context, c client.WithWatch) (bool, error) {
	events, err := c.Watch(ctx, f.kind.list(), client.InNamespace(f.key.Namespace), client.MatchingFields{"metadata.name": f.key.Name})
	if err != nil {
		if ctx.Err() != nil {
			return false, f.late(ctx)
		}
		return false, fmt.Errorf("watching the %s: %w", f.kind.word, err)
	}
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, f.late(ctx)
		case <-f.impatience():
			if f.last.Phase == rolloutFailed || time.Since(f.failedAt) < f.patience {
				f.last = f.failure
				return false, fmt.Errorf("%s has failed: %s: %s", f.last.subject(), f.last.Reason, f.last.Message)
			}
			f.timer = nil
		case e, open := <-events.ResultChan():
			if !open || e.Type == watch.Error {
				return false, nil
			}
			s := subjectOf(e.Object)
			switch {
			case s != nil && e.Type == watch.Deleted:
				return false, fmt.Errorf("%s was deleted", s)
			case s != nil && f.see(s):
				return true, nil
			}
		}
	}
}

// see takes in the stack or addon as it is now, and tells whether the roll-out is done.
func (f *follower) see(s *subject) bool {
	f.last = rolloutOf(s, f.service)
	if s.GetGeneration() != f.generation {
		f.generation, f.timer = s.GetGeneration(), nil
	}
	if f.last.Phase == rolloutFailed {
		f.failure, f.failedAt = f.last, time.Now()
		if f.timer == nil {
			f.timer = time.NewTimer(f.patience)
		}
	}
	if line := f.last.line(); line != f.said {
		f.said = line
		f.say(line)
	}
	return f.last.Phase == rolloutComplete
}

// impatience comes when the roll-out has failed for too long.
func (f *follower) impatience() <-chan time.Time {
	if f.timer == nil {
		return nil
	}
	return f.timer.C
}

func (f *follower) late(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s is not rolled out in time: %s", f.last.subject(), f.last.Message)
	}
	return ctx.Err()
}
