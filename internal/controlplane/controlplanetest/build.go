package controlplanetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// ServerVariable names the environment variable with the path of a ready server binary. Unset, the server is built.
const ServerVariable = "MOCKUP_TEST_CONTROLPLANE"

const (
	module        = "mockup.dev/mockup"
	serverPackage = module + "/internal/controlplane/controlplanetest/server"
)

// server is the command line of a control plane, less its state folder.
type server struct {
	binary string
	crds   string // folder
}

// findServer builds the server, once per process and unless it is given.
var findServer = sync.OnceValues(func() (server, error) {
	root, err := goCommand("list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return server{}, err
	}
	s := server{binary: os.Getenv(ServerVariable), crds: filepath.Join(root, "config", "crd", "bases")}
	if s.binary == "" {
		// Inside the module, because only there the test cache notices changes.
		s.binary = filepath.Join(root, "bin", "test", "controlplane")
		if err := build(s.binary); err != nil {
			return server{}, err
		}
	}
	return s, dependOnSources(root)
})

// build brings binary up to date. Test packages run side by side, so it takes a lock.
func build(binary string) error {
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return fmt.Errorf("making folder for the test control plane: %w", err)
	}
	lock, err := os.OpenFile(binary+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("opening build lock: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("taking build lock %s: %w", lock.Name(), err)
	}
	_, err = goCommand("build", "-ldflags=-s -w", "-o", binary, serverPackage)
	return err
}

func goCommand(arguments ...string) (string, error) {
	command := exec.Command("go", arguments...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0") // as all our binaries, so that compiled packages are shared
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("running go %s: %w\n%s", strings.Join(arguments, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}

// dependOnSources looks at the sources of the server, which makes them inputs in the eyes of the test cache: a change
// there runs the tests again though no test package links it.
func dependOnSources(root string) error {
	for _, pattern := range []string{"internal/controlplane/*.go", "config/crd/bases/*.yaml", "go.mod"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return fmt.Errorf("listing sources %s: %w", pattern, err)
		}
		for _, file := range files {
			if _, err := os.Stat(file); err != nil {
				return fmt.Errorf("looking at source: %w", err)
			}
		}
	}
	return nil
}
