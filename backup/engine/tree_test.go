package engine

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// rig is a volume, a repository and a configuration for both.
type rig struct {
	*WithT
	t      *testing.T
	volume string
	config *Config
	clock  time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	base := t.TempDir()
	r := &rig{WithT: NewWithT(t), t: t, volume: filepath.Join(base, "volume"), clock: time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)}
	r.Expect(os.Mkdir(r.volume, 0o755)).To(Succeed())
	password := filepath.Join(base, "password")
	r.Expect(os.WriteFile(password, []byte("correct horse\n"), 0o600)).To(Succeed())
	r.config = &Config{
		Source: "default-mockup", Repository: Location{Path: filepath.Join(base, "repository")}, PasswordFile: password,
		Volumes: []Volume{{Name: "mime-storage", Path: r.volume}},
	}
	return r
}

// ticking gives the rig a clock of its own.
func (r *rig) ticking() *rig {
	r.config.Now = func() time.Time { return r.clock }
	return r
}

// does an operation with a configuration that may be changed for it.
func (r *rig) does(operation string, change func(*Config)) (Result, error) {
	c := *r.config
	if change != nil {
		change(&c)
	}
	return Run(r.t.Context(), operation, &c, &strings.Builder{})
}

func (r *rig) must(operation string, change func(*Config)) Result {
	r.t.Helper()
	result, err := r.does(operation, change)
	r.Expect(err).NotTo(HaveOccurred())
	return result
}

// restored is the newest snapshot in a new folder.
func (r *rig) restored(change func(*Config)) string {
	r.t.Helper()
	target := filepath.Join(r.t.TempDir(), "restored")
	r.must("restore", func(c *Config) {
		c.Volumes = []Volume{{Name: "mime-storage", Path: target}}
		if change != nil {
			change(c)
		}
	})
	return target
}

func (r *rig) write(name, content string) {
	r.t.Helper()
	name = filepath.Join(r.volume, name)
	r.Expect(os.MkdirAll(filepath.Dir(name), 0o755)).To(Succeed())
	r.Expect(os.WriteFile(name, []byte(content), 0o644)).To(Succeed())
}

// oddTree has one of each kind of what file systems allow.
func (r *rig) oddTree() {
	r.t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return string(b)
	}
	r.write("empty", "")
	r.write("text/plain.txt", strings.Repeat("the same words again and again\n", 2000))
	r.write("noise/1MB.bin", noise(1<<20))
	r.write("noise/6MB.bin", noise(6<<20))
	for _, name := range []string{
		" leading space", "trailing space ", "new\nline", "tab\there", "-rf", "quote\"'`$(x)", "back\\slash", "*?[a-z]", "~tilde",
		"ünïcödé", "u\u0308 decomposed", "漢字", "latin1-\xe9\xff", "latin1-\xe9\xfe", "bad\x80", ".mockup-name:plain", ".kopiaignore",
		"placeholder.kopia-entry", "a.f", strings.Repeat("n", 255), "con", "percent%41", "dir.kopia-entry/inside",
	} {
		r.write("names/"+name, "content of "+fmt.Sprintf("%q", name))
	}
	r.write("names/.kopiaignore", "*\n")
	r.write("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
	r.write("cache/thing", "kept all the same")
	r.write("non-utf8-dir-\xff/file", "in a folder with an odd name")
	deep := strings.Repeat("deep/", 120)
	r.write(deep+"bottom", "far down")
	r.Expect(os.MkdirAll(filepath.Join(r.volume, "empty-dir"), 0o755)).To(Succeed())
	r.links()
	r.sparse()
	r.modes()
	for i := range 300 {
		r.write(fmt.Sprintf("many/%02d/%03d", i%7, i), fmt.Sprint("small file ", i))
	}
	r.Expect(unix.Mkfifo(filepath.Join(r.volume, "pipe"), 0o644)).To(Succeed())
	r.times()
}

func (r *rig) links() {
	link := func(target, name string) {
		r.Expect(os.Symlink(target, filepath.Join(r.volume, name))).To(Succeed())
	}
	link("empty", "link")
	link("nowhere/at all", "dangling")
	link("/etc/passwd", "absolute")
	link("..", "up")
	link("loop", "loop")
	link("bytes-\xff\xfe", "odd-target")
	link("text", "link-to-dir")
	r.write("hard/first", "one file with three names")
	for _, name := range []string{"hard/second", "text/third"} {
		r.Expect(os.Link(filepath.Join(r.volume, "hard/first"), filepath.Join(r.volume, name))).To(Succeed())
	}
	r.write("hard/twin", "one file with three names") // the same content, and a file of its own
}

func (r *rig) sparse() {
	f, err := os.Create(filepath.Join(r.volume, "sparse"))
	r.Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	_, err = f.WriteAt([]byte("at the end of a hole"), 64<<20)
	r.Expect(err).NotTo(HaveOccurred())
	r.Expect(os.Truncate(f.Name(), 80<<20)).To(Succeed())
}

func (r *rig) modes() {
	for i, mode := range []os.FileMode{0, 0o400, 0o600, 0o644, 0o755, 0o777, 0o755 | os.ModeSetuid, 0o755 | os.ModeSetgid, 0o644 | os.ModeSticky} {
		name := filepath.Join(r.volume, "modes", fmt.Sprintf("%d", i))
		r.write("modes/"+filepath.Base(name), "mode")
		if os.Getuid() == 0 {
			r.Expect(os.Chown(name, 1000+i, 2000+i)).To(Succeed())
		}
		r.Expect(os.Chmod(name, mode)).To(Succeed())
	}
	for name, mode := range map[string]os.FileMode{"shared": 0o777 | os.ModeSticky, "group": 0o770 | os.ModeSetgid, "closed": 0o700} {
		dir := filepath.Join(r.volume, "modes", name)
		r.write("modes/"+name+"/inside", "x")
		r.Expect(os.Chmod(dir, mode)).To(Succeed())
	}
	if os.Getuid() == 0 {
		r.Expect(os.Lchown(filepath.Join(r.volume, "dangling"), 7, 8)).To(Succeed())
	}
}

// times of every file differ, down to the nanosecond, and are in the past.
func (r *rig) times() {
	n := int64(0)
	r.Expect(filepath.WalkDir(r.volume, func(name string, d fs.DirEntry, err error) error {
		n++
		at := unix.NsecToTimespec(time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC).UnixNano() + n*1_000_000_007)
		if err == nil {
			err = unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
		}
		return err
	})).To(Succeed())
}

// snap is what a tree is like, by means of the standard library alone. Names of one file have one number.
func snap(t *testing.T, root string) map[string]string {
	t.Helper()
	out, inodes := map[string]string{}, map[uint64]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(name)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		st := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprintf("%s %d:%d %d", info.Mode(), st.Uid, st.Gid, info.ModTime().UnixNano())
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %d %x", len(b), sha256.Sum256(b))
			if st.Nlink > 1 {
				if _, ok := inodes[st.Ino]; !ok {
					inodes[st.Ino] = rel
				}
				text += " also " + inodes[st.Ino]
			}
		case info.Mode()&os.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			text += " -> " + target
		case !info.IsDir():
			return nil // in no backup
		}
		out[rel] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// same fails with the paths that differ.
func (r *rig) same(have, want map[string]string) {
	r.t.Helper()
	for p, w := range want {
		if h, ok := have[p]; !ok {
			r.t.Errorf("%q is missing", p)
		} else if h != w {
			r.t.Errorf("%q is\n  %s, not\n  %s", p, h, w)
		}
	}
	for p := range have {
		if _, ok := want[p]; !ok {
			r.t.Errorf("%q is there in addition", p)
		}
	}
}

func asJSON(v any) string {
	b, _ := json.MarshalIndent(v, "", " ")
	return string(b)
}
