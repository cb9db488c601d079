package engine

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// likeKopia takes off the times that Kopia does not keep: a folder gets the newest of what is in it, and a symbolic link
// its own in microseconds.
func likeKopia(tree map[string]string) map[string]string {
	for p, text := range tree {
		if words := strings.SplitN(text, " ", 4); text[0] == 'd' || text[0] == 'L' {
			tree[p] = strings.Join(append(words[:2], words[3:]...), " ")
		}
	}
	return tree
}

// Kopia's own command line opens the repository and each copy, finds nothing wrong, and restores the same tree.
func TestKopiasOwnCommandLineRestoresTheSame(t *testing.T) {
	program := os.Getenv("MOCKUP_KOPIA")
	if program == "" {
		t.Fatal("MOCKUP_KOPIA is not set, which is where Kopia's command line is; run: MOCKUP_KOPIA=$(hack/kopia-cli) go test ./engine")
	}
	r := newRig(t)
	r.oddTree()
	for _, own := range []string{"hard", "text/third", "non-utf8-dir-\xff", "pipe"} { // what Kopia does not know
		r.Expect(os.RemoveAll(filepath.Join(r.volume, own))).To(Succeed())
	}
	names, err := os.ReadDir(filepath.Join(r.volume, "names"))
	r.Expect(err).NotTo(HaveOccurred())
	for _, n := range names {
		if stored(n.Name()) != n.Name() || strings.HasSuffix(n.Name(), ".kopia-entry") {
			r.Expect(os.RemoveAll(filepath.Join(r.volume, "names", n.Name()))).To(Succeed())
		}
	}
	r.times()
	_, bucket := newBucketServer(r)
	disk := Location{Path: filepath.Join(t.TempDir(), "copy")}
	r.config.Copies = []Copy{{Name: "disk", Location: disk}, {Name: "offsite", Location: bucket}}
	made := r.must("run", nil).Made[0]
	for name, connect := range map[string][]string{
		"repository": {"filesystem", "--path", r.config.Repository.Path},
		"copy":       {"filesystem", "--path", disk.Path},
		"bucket": {
			"s3", "--endpoint", strings.TrimPrefix(bucket.S3.Endpoint, "http://"), "--disable-tls", "--bucket", bucket.S3.Bucket, "--prefix", bucket.S3.Prefix,
			"--access-key", "AKIDEXAMPLE", "--secret-access-key", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
		},
	} {
		home := t.TempDir()
		kopia := func(args ...string) []byte {
			cmd := exec.Command(program, args...)
			cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "KOPIA_PASSWORD=correct horse", "KOPIA_CHECK_FOR_UPDATES=false")
			var errs strings.Builder
			cmd.Stderr = &errs
			out, err := cmd.Output()
			r.Expect(err).NotTo(HaveOccurred(), "%s: kopia %v: %s", name, args, errs.String())
			return out
		}
		kopia(append([]string{"repository", "connect"}, append(connect, "--override-username", "mockup", "--override-hostname", "default-mockup")...)...)
		var listed []struct{ ID string }
		r.Expect(json.Unmarshal(kopia("snapshot", "list", "--all", "--json"), &listed)).To(Succeed())
		r.Expect(listed).To(ContainElement(HaveField("ID", made.ID)))
		kopia("snapshot", "verify", "--verify-files-percent", "100")
		target := filepath.Join(home, "restored")
		kopia("snapshot", "restore", made.ID, target)
		r.same(likeKopia(snap(t, target)), likeKopia(snap(t, r.volume)))
	}
}
