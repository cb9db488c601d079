package imagemap_test

import (
	"os"
	"path/filepath"
	"testing"

	"mockup.dev/mockup/internal/imagemap"
)

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"a map":      {"docker.io/a/b:1: localhost/b:1\n", true},
		"empty":      {"", true},
		"a list":     {"- a\n", false},
		"twice":      {"a: b\na: c\n", false},
		"empty side": {"a: \"\"\n", false},
	} {
		file := filepath.Join(t.TempDir(), "images.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		images, err := imagemap.Load(file)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if name == "a map" && images["docker.io/a/b:1"] != "localhost/b:1" {
			t.Errorf("%s: %v", name, images)
		}
	}
	if _, err := imagemap.Load("/nonexistent"); err == nil {
		t.Error("a file that is not there was loaded")
	}
	if images, err := imagemap.Load(""); err != nil || images != nil {
		t.Errorf("no file: %v, %v", images, err)
	}
}
