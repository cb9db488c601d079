// Package statedir is the folder in which everything lives that the command line keeps between two calls.
package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Env is the environment variable that names the folder.
const Env = "MOCKUP_STATE_DIR"

// Dir is a state folder. Its methods name what lies in it.
type Dir string

// ControlPlane is the folder of the API server and its data.
func (d Dir) ControlPlane() string { return d.join("controlplane") }

// Run holds what is known of the background processes.
func (d Dir) Run() string { return d.join("run") }

// Logs holds what the background processes write.
func (d Dir) Logs() string { return d.join("logs") }

// CA is the certificate authority of the gateways, PEM, for curl and browsers.
func (d Dir) CA() string { return d.join("ca.crt") }

// ImageMap is the copy of the image map that the operator runs with.
func (d Dir) ImageMap() string { return d.join("images.yaml") }

func (d Dir) join(name string) string { return filepath.Join(string(d), name) }

// Default is the folder where none is named: $MOCKUP_STATE_DIR, else mockup in $XDG_STATE_HOME, else in ~/.local/state.
func Default() string {
	if dir := os.Getenv(Env); dir != "" {
		return dir
	}
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "mockup")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state", "mockup")
}

// At names the folder at path without making it.
func At(path string) (Dir, error) {
	if path == "" {
		return "", fmt.Errorf("no state folder: set --state-dir or %s", Env)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("resolving state folder %s: %w", path, err)
	}
	return Dir(abs), nil
}

// Make makes the folder and those in it, closed to other users. One that belongs to somebody else is refused.
func (d Dir) Make() error {
	for _, path := range []string{string(d), d.Run(), d.Logs()} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return fmt.Errorf("making state folder %s: %w", path, err)
		}
	}
	info, err := os.Stat(string(d))
	if err != nil {
		return fmt.Errorf("looking at state folder %s: %w", d, err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
		return fmt.Errorf("state folder %s belongs to user %d: choose another with --state-dir", d, owner)
	}
	if info.Mode().Perm() == 0o700 {
		return nil
	}
	if err := os.Chmod(string(d), 0o700); err != nil {
		return fmt.Errorf("closing state folder %s to other users: %w", d, err)
	}
	return nil
}

// Purge removes what Make and the background processes put there, and the folder itself if nothing else is in it.
func (d Dir) Purge() error {
	for _, path := range []string{d.ControlPlane(), d.Run(), d.Logs(), d.CA(), d.ImageMap()} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing state: %w", err)
		}
	}
	err := os.Remove(string(d))
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return nil
	}
	return fmt.Errorf("removing state folder: %w", err)
}
