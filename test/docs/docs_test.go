// Package docs runs the examples of the documentation as they are printed, in a sandbox of their own:
// hack/sandbox go test ./test/docs.
package docs

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestExamples runs the shell blocks of each page in one shell, in their order, each page on a machine without a stack.
func TestExamples(t *testing.T) {
	if os.Getenv("CONTAINER_HOST") == "" {
		t.Fatal("CONTAINER_HOST names no Podman service: run this test by hack/sandbox")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "how-to", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages in docs/how-to: %v", err)
	}
	for _, page := range append([]string{filepath.Join(root, "README.md")}, pages...) {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Setenv("MOCKUP_STATE_DIR", t.TempDir())
			t.Cleanup(func() {
				if out, err := shell(t, root, "bin/mockup down --purge --yes; podman volume rm --all --force"); err != nil {
					t.Errorf("cleaning up: %v\n%s", err, out)
				}
			})
			script := shellBlocks(t, page)
			if out, err := shell(t, root, script); err != nil {
				t.Fatalf("an example of %s fails: %v\n%s", page, err, lastLines(out, 60))
			}
		})
	}
}

// shellBlocks joins the blocks that are marked as sh.
func shellBlocks(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	inside := false
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case line == "```sh":
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside:
			script.WriteString(line + "\n")
		}
	}
	if script.Len() == 0 {
		t.Fatalf("%s has no example", page)
	}
	return script.String()
}

// shell runs a script, which stops at the first command that fails, and echoes what it does.
func shell(t *testing.T, root, script string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", script)
	cmd.Dir = root
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second // background processes of `mockup up` may hold the pipe
	err := cmd.Run()
	return out.String(), err
}

func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
