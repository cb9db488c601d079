package statedir_test

import (
	"os"
	"path/filepath"
	"testing"

	"mockup.dev/mockup/internal/statedir"
)

func TestDefault(t *testing.T) {
	for name, c := range map[string]struct{ own, xdg, want string }{
		"own variable":      {"/own", "/xdg", "/own"},
		"XDG":               {"", "/xdg", "/xdg/mockup"},
		"XDG, not absolute": {"", "xdg", "/home/ada/.local/state/mockup"},
		"neither":           {"", "", "/home/ada/.local/state/mockup"},
	} {
		t.Setenv(statedir.Env, c.own)
		t.Setenv("XDG_STATE_HOME", c.xdg)
		t.Setenv("HOME", "/home/ada")
		if got := statedir.Default(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestMakeIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "state")
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := statedir.At(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{string(d), d.Run(), d.Logs()} {
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", folder, info.Mode(), err)
		}
	}
	if _, err := statedir.At(""); err == nil {
		t.Error("no path was taken for a folder")
	}
}

func TestPurgeLeavesWhatIsNotOurs(t *testing.T) {
	d := statedir.Dir(t.TempDir())
	for range 2 { // a second time there is nothing left
		if err := d.Make(); err != nil {
			t.Fatal(err)
		}
		foreign := filepath.Join(string(d), "thesis.txt")
		if err := os.WriteFile(foreign, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.Purge(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(foreign); err != nil {
			t.Error("somebody else's file is gone")
		}
		if _, err := os.Stat(d.Run()); err == nil {
			t.Error("our own folder is there")
		}
		if err := os.Remove(foreign); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Purge(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(string(d)); err == nil {
		t.Error("the empty folder is there")
	}
}
