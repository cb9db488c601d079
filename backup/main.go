// mockup-backup backs up folders, proves the backups by restoring them, and restores them. It is the program of the Jobs
// of a BackupPolicy; docs/decisions/0014-backups.md says why it is one of its own.
//
//	mockup-backup OPERATION --config FILE
//
// Progress is printed as lines of JSON, the result as the last of them. The exit code is 0 when all is well, 1 when not, and 2
// when the configuration makes no sense.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"mockup.dev/mockup/backup/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mockup-backup:", err)
		os.Exit(code(err)) //nolint:gocritic // nothing is left to stop
	}
}

var errUsage = errors.New("usage: mockup-backup " + strings.Join(engine.Operations(), "|") + " --config FILE") //nolint:gochecknoglobals // an error

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	file := flags.String("config", "", "`FILE` that says what is to be done, as JSON")
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 || *file == "" {
		return errUsage
	}
	config, err := engine.ReadConfig(*file, args[0])
	if err != nil {
		return errors.Join(errUsage, err)
	}
	_, err = engine.Run(ctx, args[0], config, os.Stdout)
	return err
}

// code 2 says that another try would end like this one.
func code(err error) int {
	if errors.Is(err, errUsage) || engine.ReasonOf(err) == engine.ReasonConfiguration {
		return 2
	}
	return 1
}
