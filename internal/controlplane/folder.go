package controlplane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// longestSocketPath is what sun_path of unix(7) holds, less its final zero.
const longestSocketPath = 107

// folder is the one place where a control plane keeps its state. Its methods name what lies in it.
type folder string

func (f folder) path(name string) string { return filepath.Join(string(f), name) }
func (f folder) lock() string            { return f.path("lock") }
func (f folder) kubeconfig() string      { return f.path("kubeconfig") }
func (f folder) pki() string             { return f.path("pki") }
func (f folder) etcdData() string        { return f.path("etcd") }
func (f folder) clientSocket() string    { return f.path("etcd.sock") }
func (f folder) peerSocket() string      { return f.path("peer.sock") }

// KubeconfigPath is where Run writes the kubeconfig of the control plane that lives in dir.
func KubeconfigPath(dir string) string { return folder(dir).kubeconfig() }

// openFolder makes the state folder or checks the one that is there. A folder of one's own that others can enter is
// mended; one that belongs to somebody else is refused, because its owner could read every Secret and swap every key.
func openFolder(dir string) (folder, error) {
	if dir == "" {
		return "", errors.New("no folder given for the state of the control plane")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("resolving folder %s: %w", dir, err)
	}
	f := folder(abs)
	if n := len(f.clientSocket()); n > longestSocketPath {
		return "", fmt.Errorf("folder %s is %d bytes too long for a unix socket in it: choose a shorter one", abs, n-longestSocketPath)
	}
	for _, d := range []string{abs, f.pki()} {
		if err := privateDir(d); err != nil {
			return "", err
		}
	}
	return f, nil
}

// privateDir makes dir, or makes sure that it is a directory of this user that nobody else can enter.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making folder %s: %w", dir, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("looking at folder %s: %w", dir, err)
	}
	if owner, me := int(info.Sys().(*syscall.Stat_t).Uid), os.Geteuid(); owner != me {
		return fmt.Errorf("folder %s belongs to user %d, not to user %d who starts the control plane: choose another folder or change its owner", dir, owner, me)
	}
	if info.Mode().Perm() != 0o700 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("closing folder %s to other users: %w", dir, err)
		}
	}
	return nil
}

// writeFile replaces path in one step, so that a crash leaves the old content or the new and never half of it.
func writeFile(path string, content []byte, mode fs.FileMode) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if err := tmp.Chmod(mode); err != nil {
		return err
	}
	if _, err := tmp.Write(content); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
