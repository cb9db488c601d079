// Package systemd has the platform started at boot where systemd is: it writes units and asks systemctl. What is in a unit
// is pure.
package systemd

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Scope tells whose units they are.
type Scope string

// The scopes: the machine's, run by root, and a user's own.
const (
	System Scope = "system"
	User   Scope = "user"
)

// Unit is a service.
type Unit struct {
	Name        string
	Description string
	// Wants are started before it if they are there; it runs without them all the same.
	Wants []string
	// Type as in systemd.service(5): exec, or notify for a program that tells when it is ready.
	Type    string
	Command []string
	// PostStart is a script of the shell that is run once it is started; $MAINPID is the program.
	PostStart string
	// Environment are NAME=VALUE.
	Environment []string
	// Restart as in systemd.service(5), FinalCodes exit codes after which it is not started again.
	Restart    string
	FinalCodes string
	// Grace is how long it may take to end.
	Grace time.Duration
	// Log is the file that gets its output; empty for the journal.
	Log string
	// Settings are further lines of its section.
	Settings []string
	// WantedBy is the target that starts it at boot; empty for one that is started when it is needed.
	WantedBy string
}

// Render is the file of the unit.
func (u Unit) Render() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Written by \"mockup install\", and again by \"mockup up\" when the program or its flags change. What you want to")
	line("# be different goes into a file of its own: systemctl edit %s", u.Name)
	line("[Unit]")
	line("Description=%s", u.Description)
	if len(u.Wants) > 0 {
		line("Wants=%s", strings.Join(u.Wants, " "))
		line("After=%s", strings.Join(u.Wants, " "))
	}
	line("StartLimitIntervalSec=0")
	line("")
	line("[Service]")
	line("Type=%s", u.Type)
	line("ExecStart=%s", command(u.Command))
	if u.PostStart != "" {
		line("ExecStartPost=%s", command([]string{"/bin/sh", "-c", u.PostStart}))
	}
	for _, e := range u.Environment {
		line("Environment=%s", quote(percent(e)))
	}
	line("Restart=%s", u.Restart)
	line("RestartSec=1")
	line("RestartPreventExitStatus=%s", u.FinalCodes)
	line("TimeoutStopSec=%d", int(u.Grace.Seconds()))
	if u.Log != "" {
		line("StandardOutput=append:%s", percent(u.Log))
		line("StandardError=inherit")
	}
	for _, s := range u.Settings {
		line("%s", s)
	}
	if u.WantedBy != "" {
		line("")
		line("[Install]")
		line("WantedBy=%s", u.WantedBy)
	}
	return b.String()
}

// command quotes the words of a command line (systemd.service(5), COMMAND LINES). Unlike Environment=, it also takes $ for
// a variable.
func command(words []string) string {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, quote(strings.ReplaceAll(percent(w), "$", "$$")))
	}
	return strings.Join(quoted, " ")
}

// percent keeps systemd from reading a specifier.
func percent(text string) string { return strings.ReplaceAll(text, "%", "%%") }

// quote is needed by words with spaces and the like alone.
func quote(word string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:=%@+,$"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(word) + `"`
}

// path of a setting that takes a list of them.
func path(p string) string { return quote(percent(filepath.Clean(p))) }
