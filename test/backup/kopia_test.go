package backup

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mockup.dev/mockup/api/v1alpha1"
)

// ownCommandLine of Kopia opens the repository and each copy, finds the same blobs in all of them, and restores the same tree.
func (b *backups) ownCommandLine(t *testing.T) {
	program := os.Getenv("MOCKUP_KOPIA")
	if program == "" {
		t.Fatal("MOCKUP_KOPIA is not set, which is where Kopia's command line is; run: MOCKUP_KOPIA=$(hack/kopia-cli) go test ./test/backup")
	}
	out := b.does("backup", "now")
	newest := b.newest()
	if !out.Succeeded || newest.Volume != "mime-storage" {
		t.Fatalf("outcome %+v, newest %+v", out, newest)
	}
	want := likeKopia(b.backedUp())
	var blobs map[string]int64
	for _, place := range [][]string{
		{"filesystem", "--path", filepath.Join(b.volume("default-mime-storage-repository"), "kopia")},
		{"filesystem", "--path", filepath.Join(b.Dir, "copies")},
		{
			"s3", "--endpoint", strings.TrimPrefix(b.buckets, "http://"), "--disable-tls", "--bucket", "backups", "--prefix", "mockup/",
			"--access-key", "AKIDEXAMPLE", "--secret-access-key", secretKey,
		},
	} {
		kopia := b.kopia(t, program, place)
		found := map[string]int64{}
		var listed []struct {
			ID     string `json:"id"`
			Length int64  `json:"length"`
		}
		must(t, json.Unmarshal(kopia("blob", "list", "--json"), &listed))
		for _, l := range listed {
			found[l.ID] = l.Length
		}
		if blobs == nil {
			blobs = found
		}
		if len(found) < 5 || !maps.Equal(found, blobs) {
			t.Errorf("%v has %d blobs, other than the repository with %d", place[:2], len(found), len(blobs))
		}
		target := filepath.Join(t.TempDir(), "restored")
		kopia("snapshot", "restore", newest.ID, target)
		same(t, strings.Join(place[:2], " "), likeKopia(files(tree(t, target))), want)
	}
}

// kopia is connected to a place.
func (b *backups) kopia(t *testing.T, program string, place []string) func(args ...string) []byte {
	t.Helper()
	home, password := t.TempDir(), b.words()[2]
	kopia := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "KOPIA_PASSWORD="+password, "KOPIA_CHECK_FOR_UPDATES=false")
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("kopia %s %s: %v: %s", args[0], args[1], err, said.String())
		}
		return out
	}
	kopia(append([]string{"repository", "connect"}, append(place, "--override-username", "mockup", "--override-hostname", "default-mockup")...)...)
	return kopia
}

// likeKopia is a tree without what Kopia's command line does not restore: names that are not UTF-8, hard links, and the times of
// folders and symbolic links.
func likeKopia(tree map[string]string) map[string]string {
	maps.DeleteFunc(tree, func(name, _ string) bool {
		return strings.Contains(name, "\xe9") || strings.Contains(name, ".mockup-name:")
	})
	for name, text := range tree {
		text, _, _ = strings.Cut(text, " also ")
		if words := strings.SplitN(text, " ", 4); text[0] == 'd' || text[0] == 'L' {
			text = strings.Join(append(words[:2], words[3:]...), " ")
		}
		tree[name] = text
	}
	return tree
}

// newest snapshot, as the policy lists it.
func (b *backups) newest() v1alpha1.BackupSnapshot {
	b.t.Helper()
	list := b.policy().Status.List
	if len(list) == 0 {
		b.t.Fatal("the policy lists no snapshot")
	}
	return list[0]
}
