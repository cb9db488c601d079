package documents_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mockup.dev/mockup/internal/documents"
)

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte("# only a comment\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := documents.Read([]string{file, "-"}, strings.NewReader(`{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "d"}, "n": 3}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range found {
		got = append(got, d.GetKind()+"/"+d.GetName())
	}
	if want := "Secret/a ConfigMap/b ConfigMap/c Secret/d"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if want := file + ", document 3"; found[1].Source != want {
		t.Errorf("source %q, want %q", found[1].Source, want)
	}
	if n, ok := found[3].Object["n"].(int64); !ok || n != 3 {
		t.Errorf("3 became %T", found[3].Object["n"])
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"no kind":      {"apiVersion: v1\nmetadata: {name: a}", "Kind"},
		"a key twice":  {"apiVersion: v1\nkind: Secret\nkind: ConfigMap", "already"},
		"not a object": {"- a\n- b", "document 1"},
		"not YAML":     {"a: b: c", "document 1"},
	} {
		if _, err := documents.Read([]string{"-"}, strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if _, err := documents.Read([]string{"/nonexistent"}, nil); err == nil {
		t.Error("a file that is not there was read")
	}
}
