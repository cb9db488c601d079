// Package server is the frame that every reference service stands in: its
// command line, its settings, two listeners, health, and an orderly end.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"mockup.dev/mockup/workloads/internal/version"
)

// Exit codes of every service.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // a wrong argument or setting: starting again does not help
)

// Setting is an environment variable, described for --help.
type Setting struct{ Name, Default, Help string }

// Program describes a service.
type Program struct {
	Name        string
	Summary     string
	Port        int // default of PORT
	MetricsPort int // default of METRICS_PORT
	Settings    []Setting
	// Setup reads the service's own settings and registers its routes, checks
	// and dependencies. The listeners open when it has returned.
	Setup func(ctx context.Context, s *Service) error
}

// Main runs the command line args (os.Args) and returns the exit code.
func (p Program) Main(args []string) int {
	if len(args) < 2 {
		return p.serve()
	}
	switch args[1] {
	case "serve":
		return p.serve()
	case "healthcheck":
		return p.healthcheck(args[2:])
	case "version", "--version":
		fmt.Println(p.Name, version.String())
		return exitOK
	case "help", "--help", "-h":
		p.help(os.Stdout)
		return exitOK
	}
	fmt.Fprintf(os.Stderr, "%s: unknown command %q; see %s --help\n", p.Name, args[1], p.Name)
	return exitUsage
}

func (p Program) serve() int {
	err := p.run(context.Background(), os.Stdout)
	var setting *SettingError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &setting):
		return exitUsage
	}
	return exitFailed
}

func (p Program) help(w io.Writer) {
	fmt.Fprintf(w, `%[1]s: %[2]s

Usage:
  %[1]s                        serve until SIGTERM
  %[1]s healthcheck [--ready]  exit 0 if the service of this container is alive (--ready: ready)
  %[1]s version

Example:
  PORT=%[3]d LOG_LEVEL=debug %[1]s

Settings (environment):
`, p.Name, p.Summary, p.Port)
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, s := range append(p.Settings, p.commonSettings()...) {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", s.Name, s.Default, s.Help)
	}
	table.Flush()
}

func (p Program) commonSettings() []Setting {
	return []Setting{
		{"PORT", fmt.Sprint(p.Port), "port of the service; 0 takes a free one"},
		{"METRICS_PORT", fmt.Sprint(p.MetricsPort), "port of /metrics; 0 takes a free one"},
		{"LOG_LEVEL", "info", "debug, info, warn or error"},
		{"DRAIN_DELAY", defaultDrainDelay.String(), "after SIGTERM: how long to go on serving while unready"},
		{"SHUTDOWN_TIMEOUT", defaultShutdownTimeout.String(), "after that: how long requests in flight may take to end"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "", "send traces there by OTLP/HTTP, as http://collector:4318"},
	}
}
