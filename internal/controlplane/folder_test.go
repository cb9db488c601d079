package controlplane

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOpenFolder(t *testing.T) {
	t.Run("is made closed to others", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a", "b")
		if _, err := openFolder(dir); err != nil {
			t.Fatal(err)
		}
		wantMode(t, dir, 0o700)
	})
	t.Run("of one's own is mended", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := openFolder(dir); err != nil {
			t.Fatal(err)
		}
		wantMode(t, dir, 0o700)
	})
	t.Run("of another user is refused", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give a folder away")
		}
		dir := t.TempDir()
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := openFolder(dir); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("too deep for a socket is refused", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), strings.Repeat("x", longestSocketPath))
		if _, err := openFolder(dir); err == nil || !strings.Contains(err.Error(), "too long for a unix socket") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("without a name is refused", func(t *testing.T) {
		if _, err := openFolder(""); err == nil {
			t.Error("accepted")
		}
	})
}

func wantMode(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != mode {
		t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), mode)
	}
}

func TestLock(t *testing.T) {
	f, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, running, err := Running(string(f)); running || err != nil {
		t.Errorf("before: running %v, %v", running, err)
	}
	release, err := acquireLock(f)
	if err != nil {
		t.Fatal(err)
	}
	holder, running, err := Running(string(f))
	if err != nil || !running || holder.PID != os.Getpid() || time.Since(holder.Since) > time.Minute {
		t.Errorf("held: got %+v, running %v, %v", holder, running, err)
	}
	_, err = acquireLock(f)
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Holder.PID != os.Getpid() {
		t.Errorf("second time: got %v", err)
	}
	release()
	release, err = acquireLock(f)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	release()
}

// TestLockIsNotTheFile: what a killed process wrote into the lock file binds nobody.
func TestLockIsNotTheFile(t *testing.T) {
	f, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.lock(), []byte(`{"pid":1,"since":"2026-01-01T00:00:00Z"} and more`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, running, err := Running(string(f)); running || err != nil {
		t.Errorf("running %v, %v", running, err)
	}
	release, err := acquireLock(f)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if holder, _, _ := Running(string(f)); holder.PID != os.Getpid() {
		t.Errorf("holder is %+v", holder)
	}
}

func TestListen(t *testing.T) {
	first := mustListen(t, 0, 0)
	if port := portOf(first); port < firstPort || port > lastPort {
		t.Errorf("free port %d is not in the range that survives restarts", port)
	}
	port := portOf(first)
	if _, err := listen(port, 0); err == nil {
		t.Error("a port asked for that is taken was not refused")
	}
	if second := mustListen(t, 0, port); portOf(second) == port {
		t.Error("two listeners on one port")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if again := mustListen(t, 0, port); portOf(again) != port {
		t.Errorf("got port %d, want the remembered %d", portOf(again), port)
	}
}

func mustListen(t *testing.T, wanted, remembered int) net.Listener {
	t.Helper()
	l, err := listen(wanted, remembered)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestRememberedPort(t *testing.T) {
	f, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if port := rememberedPort(f); port != 0 {
		t.Errorf("no kubeconfig: got %d", port)
	}
	if err := writeKubeconfig(f, 12345, mustIdentities(t, f.pki(), time.Now())); err != nil {
		t.Fatal(err)
	}
	if port := rememberedPort(f); port != 12345 {
		t.Errorf("got %d", port)
	}
	wantMode(t, f.kubeconfig(), 0o600)
	if err := os.WriteFile(f.kubeconfig(), []byte("clusters: [half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if port := rememberedPort(f); port != 0 {
		t.Errorf("damaged kubeconfig: got %d", port)
	}
}
