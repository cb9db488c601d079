// Package stacktest brings the sample stack up on the Podman of a sandbox (hack/sandbox) as a user does: by bin/mockup
// as it was built, config/samples and the image map. The tests that look at the whole of it share this package.
package stacktest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// sandboxFolder exists in a sandbox only.
const sandboxFolder = "/run/sandbox"

const (
	// upTimeout bounds the time until the sample is ready; without load it takes some seconds.
	upTimeout = "2m"
	// logTail is how many bytes of each log Logs returns, and of standard error a failed command.
	logTail = 3000
)

// Stack is the sample in a sandbox of its own.
type Stack struct {
	// Dir holds all of it: the program, the state folder, and what a test adds.
	Dir string
	// Bin is bin/ of the repository.
	Bin string
	// API is a client of the control plane, from Start on.
	API client.WithWatch

	root    string
	program string
}

// New prepares a stack in a new folder and starts nothing. Outside a sandbox it is an error: what these tests do to
// Podman must not reach the machine's own containers.
func New() (*Stack, error) {
	if _, err := os.Stat(sandboxFolder); err != nil || os.Getenv("CONTAINER_HOST") == "" {
		return nil, fmt.Errorf("this test needs a sandbox, for it removes containers: run it by make, or in hack/sandbox")
	}
	log.SetLogger(logr.Discard()) // the client's own words are of no use here
	root, err := repository()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(sandboxFolder, "stack-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	s := &Stack{Dir: dir, Bin: filepath.Join(root, "bin"), root: root, program: filepath.Join(dir, "mockup")}
	// A copy, so that a build in the meantime changes nothing under way.
	if err := copyFile(filepath.Join(s.Bin, "mockup"), s.program); err != nil {
		return nil, fmt.Errorf("%w; run: make build", err)
	}
	if _, err := os.Stat(s.ImageMap()); err != nil {
		return nil, fmt.Errorf("looking for the image map: %w; run: make images", err)
	}
	return s, nil
}

// repository is the folder of go.mod above the working directory.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("finding the repository: no go.mod in the working directory or above it")
}

// Sample is the file that is applied.
func (s *Stack) Sample() string { return filepath.Join(s.root, "config", "samples", "mockup.yaml") }

// ImageMap is the file that says which local image stands for which.
func (s *Stack) ImageMap() string { return filepath.Join(s.Bin, "images.yaml") }

// Root is the folder of the repository.
func (s *Stack) Root() string { return s.root }

// CA is the file with the certificate authority of the gateway, once Up has returned.
func (s *Stack) CA() string { return filepath.Join(s.state(), "ca.crt") }

func (s *Stack) state() string { return filepath.Join(s.Dir, "state") }

// Start starts control plane and operator, and applies nothing.
func (s *Stack) Start(ctx context.Context) error {
	if _, err := s.Mockup(ctx, "up", "--image-map", s.ImageMap()); err != nil {
		return err
	}
	return s.connect(ctx)
}

// Up starts everything, applies the sample and returns when it is ready.
func (s *Stack) Up(ctx context.Context) error {
	if _, err := s.Mockup(ctx, "up", "--image-map", s.ImageMap(), "--filename", s.Sample(), "--timeout", upTimeout); err != nil {
		return fmt.Errorf("%w\n%s", err, s.Logs())
	}
	return s.connect(ctx)
}

// Purge ends everything and removes its data.
func (s *Stack) Purge(ctx context.Context) error {
	_, err := s.Mockup(ctx, "down", "--purge", "--yes")
	return err
}

// Mockup runs a verb of the command line and returns its standard output.
func (s *Stack) Mockup(ctx context.Context, args ...string) (string, error) {
	return run(ctx, append([]string{s.program, "--state-dir", s.state()}, args...)...)
}

// Podman runs podman against the sandbox's service and returns its standard output.
func (s *Stack) Podman(ctx context.Context, args ...string) (string, error) {
	return run(ctx, append([]string{"podman"}, args...)...)
}

// Logs is the end of what the background programs wrote, for the message of a test that failed.
func (s *Stack) Logs() string {
	var text strings.Builder
	for _, program := range []string{ControlPlane, Operator} {
		content, err := os.ReadFile(filepath.Join(s.state(), "logs", program+".log"))
		if err != nil {
			content = []byte(err.Error())
		}
		fmt.Fprintf(&text, "== %s\n%s\n", program, content[max(0, len(content)-logTail):])
	}
	return text.String()
}

// run returns standard output; standard error is part of the error.
func run(ctx context.Context, words ...string) (string, error) {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		said := strings.TrimSpace(complaint.String())
		return strings.TrimSpace(out.String()), fmt.Errorf("%s %s: %w: %s", filepath.Base(words[0]), strings.Join(words[1:], " "), err, said[max(0, len(said)-logTail):])
	}
	return strings.TrimSpace(out.String()), nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copying a file: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return out.Close()
}
