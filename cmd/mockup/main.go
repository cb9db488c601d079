// Command mockup is the one program of a laptop: it sets stacks up, looks at them, and is itself the control plane and
// the operator that run in the background. One file for each verb.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, &app{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// run runs the command line and returns its exit code.
func run(ctx context.Context, args []string, a *app) int {
	root := newRoot(args[0], a)
	root.SetArgs(args[1:])
	called, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code := exitFailed
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		code = exit.code
		if exit.err == nil { // all is said already
			return code
		}
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	case !a.begun: // refused before the verb began: the call itself was wrong
		code = exitUsage
		err = fmt.Errorf("%w\nSee %q", err, called.CommandPath()+" --help")
	}
	fmt.Fprintln(a.err, called.Root().DisplayName()+":", err)
	return code
}

// Exit codes that hold for every verb; each says in its help which it uses.
const (
	exitOK = 0
	// exitFailed: what was asked for did not come about.
	exitFailed = 1
	// exitUsage: the call, or a file given to it, is wrong.
	exitUsage = 2
	// exitUnreachable: the control plane does not answer.
	exitUnreachable = 3
)

// exitError is an error with an exit code of its own. Without an error, everything has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }

func (e *exitError) Unwrap() error { return e.err }
