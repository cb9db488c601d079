// mockup-backup backs up folders, proves the backups by restoring them, and restores them. It is the program of the Jobs
// of a BackupPolicy; docs/decisions/0014-backups.md says why it is one of its own.
//
//	mockup-backup OPERATION --config FILE [--volume NAME] [--snapshot ID] ...
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
	"time"
	_ "time/tzdata" // the image has no time zones

	"mockup.dev/mockup/backup/engine"
)

func main() {
	engine.LimitMemory()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mockup-backup:", err)
		os.Exit(code(err)) //nolint:gocritic // nothing is left to stop
	}
}

var errUsage = errors.New("usage: mockup-backup " + strings.Join(engine.Operations(), "|") + " --config FILE") //nolint:gochecknoglobals // an error

// version is set by the build.
var version = "dev" //nolint:gochecknoglobals // the linker writes it

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	if args[0] == "--version" {
		fmt.Println("mockup-backup", version)
		return nil
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	file := flags.String("config", "", "`FILE` that says what the backups are of, and where, as JSON")
	var r request
	r.flags(flags)
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 || *file == "" {
		return errUsage
	}
	_, err := engine.RunFile(ctx, args[0], *file, r.apply, os.Stdout)
	return err
}

// request is what is asked for this time.
type request struct {
	volume, snapshot, from, mode, into, scratch, inPlace string
	asOf                                                 time.Time
	paths                                                []string
	percent                                              float64
	rollBack                                             bool
}

func (r *request) flags(flags *flag.FlagSet) {
	flags.StringVar(&r.volume, "volume", "", "`NAME` of one of the volumes; the default is all of them")
	flags.StringVar(&r.snapshot, "snapshot", "", "`ID` of a snapshot; the default is the newest")
	flags.TextVar(&r.asOf, "as-of", time.Time{}, "newest snapshot that was begun no later than `TIME`, e.g. 2026-02-13T19:00:00Z")
	flags.Func("path", "`PATH` in the volume; may be repeated", func(p string) error {
		r.paths = append(r.paths, p)
		return nil
	})
	flags.StringVar(&r.from, "from", "", "`NAME` of a copy to read in place of the repository")
	flags.StringVar(&r.mode, "mode", "", "how to verify: quick, sample or full")
	flags.Float64Var(&r.percent, "percent", 0, "part of the files that a sample reads")
	flags.StringVar(&r.into, "into", "", "`FOLDER` to restore into")
	flags.StringVar(&r.inPlace, "in-place", "", "replace what is in the folder; called again with the same `ID`, it goes on")
	flags.BoolVar(&r.rollBack, "roll-back", false, "restore what was there before a restore in place, and go no further")
	flags.StringVar(&r.scratch, "scratch", "", "`FOLDER` for a test restore")
}

// apply puts the request into a configuration.
func (r *request) apply(c *engine.Config) {
	if r.volume != "" {
		var chosen []engine.Volume
		for _, v := range c.Volumes {
			if v.Name == r.volume {
				chosen = append(chosen, v)
			}
		}
		c.Volumes = chosen
	}
	if r.into != "" {
		for i := range c.Volumes {
			c.Volumes[i].Path = r.into
		}
	}
	c.From = r.from
	c.Verify = engine.Verify{Mode: r.mode, Percent: r.percent}
	c.Restore = engine.Restore{
		Snapshot: r.snapshot, AsOf: r.asOf, Paths: r.paths, Scratch: r.scratch, InPlace: r.inPlace, RollBack: r.rollBack, OnlyEmpty: c.Restore.OnlyEmpty,
	}
}

// code 2 says that another try would end like this one.
func code(err error) int {
	if errors.Is(err, errUsage) || engine.ReasonOf(err) == engine.ReasonConfiguration {
		return 2
	}
	return 1
}
