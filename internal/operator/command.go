package operator

import (
	"context"
	"log/slog"
	"os"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

// Command is the operator as a command, and its options once the flags are read; defaults holds what they are without.
// around, unless nil, runs run, and may change the options before and do something beside it.
func Command(use string, defaults Options, around func(ctx context.Context, run func(context.Context) error) error) (*cobra.Command, *Options) {
	o := &defaults
	verbose := false
	command := &cobra.Command{
		Use:   use,
		Short: "Run the operator",
		Long: `Runs the operator in the foreground: it brings every MockupStack of an API server to life on a backend.

Logs are JSON lines on standard error. SIGTERM and SIGINT end it gracefully.

Exit codes: 0 when told to end, 1 on an error, 2 when called wrongly.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Log = newLog(verbose)
			run := func(ctx context.Context) error { return Run(ctx, *o) }
			if around == nil {
				return run(cmd.Context())
			}
			return around(cmd.Context(), run)
		},
	}
	command.PreRunE = func(*cobra.Command, []string) error { return o.Validate() }
	o.AddFlags(command.Flags())
	command.Flags().BoolVarP(&verbose, "verbose", "v", false, "log debugging messages too")
	return command, o
}

// newLog writes JSON lines to standard error, for client-go as well.
func newLog(verbose bool) logr.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	handler := slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level})
	log := logr.FromSlogHandler(handler)
	klog.SetLogger(log)
	return log
}
