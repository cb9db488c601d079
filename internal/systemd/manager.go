package systemd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"mockup.dev/mockup/internal/processes"
)

// Manager is the systemd that keeps the units of a scope.
type Manager struct {
	Scope Scope
	// Dir is where the files of the units are.
	Dir string
}

// Running tells whether systemd is the first process of this machine, as sd_booted(3) does.
func Running() bool {
	info, err := os.Stat("/run/systemd/system")
	return err == nil && info.IsDir()
}

// Knows tells whether there is a file of a unit, in the folders of systemd.unit(5).
func Knows(scope Scope, unit string) bool {
	for _, folder := range []string{"/etc/systemd/", "/run/systemd/", "/usr/local/lib/systemd/", "/usr/lib/systemd/", "/lib/systemd/"} {
		if _, err := os.Stat(folder + string(scope) + "/" + unit); err == nil {
			return true
		}
	}
	return false
}

// Installed are the names of the platform's units whose files are there.
func (m Manager) Installed() []string {
	var found []string
	for _, name := range []string{"operator", "controlplane", "podman", Node} { // in the order in which they are ended
		if _, err := os.Stat(m.file(UnitOf(name))); err == nil {
			found = append(found, UnitOf(name))
		}
	}
	return found
}

// Keeps tells whether the unit of a process is installed, and for the folder whose pid file is named: two folders may hold
// platforms of their own, of which systemd keeps one.
func (m Manager) Keeps(process, pidFile string) bool {
	content, err := os.ReadFile(m.file(UnitOf(process)))
	return err == nil && strings.Contains(string(content), "="+percent(pidFile)+":")
}

func (m Manager) file(unit string) string { return filepath.Join(m.Dir, unit) }

// Write the files of units whose content differs, and have systemd read them.
func (m Manager) Write(ctx context.Context, units []Unit) error {
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of units: %w", err)
	}
	changed := false
	for _, u := range units {
		text := u.Render()
		if old, err := os.ReadFile(m.file(u.Name)); err == nil && string(old) == text {
			continue
		}
		if err := os.WriteFile(m.file(u.Name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing unit %s: %w", u.Name, err)
		}
		changed = true
	}
	if !changed {
		return nil
	}
	return m.Systemctl(ctx, "daemon-reload")
}

// Enable has the units started at boot.
func (m Manager) Enable(ctx context.Context, units []Unit) error {
	names := []string{"enable"}
	for _, u := range units {
		if u.WantedBy != "" {
			names = append(names, u.Name)
		}
	}
	return m.Systemctl(ctx, names...)
}

// Remove ends the units, has them not started at boot any more, and removes their files. The node agent is not ended: pods
// run on, and need it for names. It ends by itself with the last of them.
func (m Manager) Remove(ctx context.Context, units []string) error {
	ended := without(units, UnitOf(Node))
	if Running() && len(ended) > 0 {
		if err := m.Systemctl(ctx, append([]string{"disable", "--now"}, ended...)...); err != nil {
			return err
		}
	}
	for _, u := range units {
		if err := os.Remove(m.file(u)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing unit %s: %w", u, err)
		}
	}
	if !Running() {
		return nil
	}
	return m.Systemctl(ctx, "daemon-reload")
}

func without(names []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
}

// SystemctlArgs is a command line of systemctl for the scope.
func (m Manager) SystemctlArgs(args ...string) []string {
	words := []string{"systemctl"}
	if m.Scope == User {
		words = append(words, "--user")
	}
	return append(words, args...)
}

// Systemctl runs it. The error says what it said.
func (m Manager) Systemctl(ctx context.Context, args ...string) error {
	words := m.SystemctlArgs(args...)
	out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Supervisor has systemd keep the processes of a folder that have units.
type Supervisor struct {
	Manager
	// Unit renders that of a process; false if the process has none.
	Unit func(p processes.Process, mark string) (Unit, bool)
}

// Keeps tells whether a process has a unit.
func (s Supervisor) Keeps(name string) bool {
	_, err := os.Stat(s.file(UnitOf(name)))
	return err == nil
}

// Start writes the unit anew and starts it, or starts it again. It returns when the program has told that it is ready, if
// it tells at all.
func (s Supervisor) Start(ctx context.Context, p processes.Process, mark string) error {
	unit, ok := s.Unit(p, mark)
	if !ok {
		return fmt.Errorf("there is no unit for %s", p.Name)
	}
	if err := s.Write(ctx, []Unit{unit}); err != nil {
		return err
	}
	return s.Systemctl(ctx, "restart", unit.Name)
}

// Stop ends the unit until it is started again, or the machine is.
func (s Supervisor) Stop(ctx context.Context, name string) error {
	return s.Systemctl(ctx, "stop", UnitOf(name))
}
