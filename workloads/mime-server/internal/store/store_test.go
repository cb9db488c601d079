package store

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func upload(t *testing.T, s *Store, name, content string, conflict Conflict) (Info, error) {
	t.Helper()
	u, err := s.Create(name)
	if err != nil {
		return Info{}, err
	}
	defer u.Discard()
	if _, err := io.WriteString(u, content); err != nil {
		return Info{}, err
	}
	info, _, err := u.Commit(context.Background(), conflict, nil)
	return info, err
}

// A crash of the machine, unlike one of the process, takes with it what was not
// synced: the content must be durable before the name is, and the name before
// the answer.
func TestCommitSyncsContentThenName(t *testing.T) {
	for name, conflict := range map[string]Conflict{"replace": Replace, "refuse": Refuse, "number": Number} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			var steps []string
			visible := func() string {
				if _, err := os.Stat(filepath.Join(dir, "a/b/file")); err == nil {
					return " visible"
				}
				return " invisible"
			}
			s.syncFile = func(file *os.File) error {
				stat, err := file.Stat()
				if err != nil || stat.Size() != 7 {
					t.Errorf("synced before all was written: %v, %v", stat, err)
				}
				steps = append(steps, "content"+visible())
				return nil
			}
			s.syncFolder = func(folder *os.File) error {
				where, err := filepath.Rel(dir, folder.Name())
				if err != nil {
					t.Error(err)
				}
				steps = append(steps, where+visible())
				return nil
			}
			if _, err := upload(t, s, "a/b/file", "content", conflict); err != nil {
				t.Fatal(err)
			}
			want := []string{"content invisible", "a visible", "a/b visible", ". visible"}
			if !reflect.DeepEqual(steps, want) {
				t.Errorf("steps %q, want %q", steps, want)
			}
		})
	}
}

func TestFailedSyncIsNotAcknowledged(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := upload(t, s, "file", "old", Replace); err != nil {
		t.Fatal(err)
	}
	s.syncFile = func(*os.File) error { return syscall.EIO }
	if _, err := upload(t, s, "file", "new", Replace); !errors.Is(err, syscall.EIO) {
		t.Errorf("error %v, want EIO", err)
	}
	s.syncFile = func(*os.File) error { return syscall.ENOSPC }
	if _, err := upload(t, s, "file", "new", Replace); !errors.Is(err, ErrFull) {
		t.Errorf("error %v, want ErrFull", err)
	}
	if content, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(content) != "old" {
		t.Errorf("the file is %q, %v; want the old one", content, err)
	}
	s.syncFile, s.syncFolder = (*os.File).Sync, func(*os.File) error { return syscall.EIO }
	if _, err := upload(t, s, "other", "new", Refuse); !errors.Is(err, syscall.EIO) {
		t.Errorf("error %v, want EIO", err)
	}
	if err := s.Delete(context.Background(), "file", nil); !errors.Is(err, syscall.EIO) {
		t.Errorf("error %v, want EIO", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".upload-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Found when two files were committed within one tick of the kernel's clock: the
// page that lists the newest first had them the wrong way round.
func TestLaterFileIsNewer(t *testing.T) {
	s := open(t, t.TempDir())
	before, err := upload(t, s, "0", "", Replace)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		next, err := upload(t, s, "1", "", Replace)
		if err != nil {
			t.Fatal(err)
		}
		if !next.Modified.After(before.Modified) {
			t.Fatalf("the later file is of %s, the earlier of %s", next.Modified, before.Modified)
		}
		before = next
	}
}

func TestOpenFileStaysWhatItWas(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := upload(t, s, "file", "old", Replace); err != nil {
		t.Fatal(err)
	}
	file, info, err := s.Open(context.Background(), "file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := upload(t, s, "file", "brand new", Replace); err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(file)
	if err != nil || string(content) != "old" || info.Size != 3 {
		t.Errorf("read %q (size %d), %v; want the old content", content, info.Size, err)
	}
}

func TestUsageCountsWhatIsListed(t *testing.T) {
	s := open(t, t.TempDir())
	for _, name := range []string{"a", "folder/b"} {
		if _, err := upload(t, s, name, "12345", Refuse); err != nil {
			t.Fatal(err)
		}
	}
	under, err := s.Create("c") // under way: neither counted nor listed
	if err != nil {
		t.Fatal(err)
	}
	defer under.Discard()
	files, bytes, err := s.Usage(context.Background())
	if err != nil || files != 2 || bytes != 10 {
		t.Errorf("Usage = %d, %d, %v; want 2, 10", files, bytes, err)
	}
	list, err := s.List(context.Background())
	if err != nil || len(list.Files) != 2 || list.Files[0].Name != "a" || list.Files[1].Name != "folder/b" {
		t.Errorf("List = %+v, %v", list, err)
	}
}

func TestCheckName(t *testing.T) {
	good := []string{"a", "a.txt", "a b", "folder/a", "a..b", "a\\b", "…", "résumé.pdf", strings.Repeat("x", 255), "~", "-rf"}
	bad := []string{"", ".", "..", "/", "/a", "a/", "a//b", "a/./b", "a/../b", "../a", ".a", "a/.b", "a\x00", "a\nb", "\x7f",
		"\xff", strings.Repeat("x", 256), strings.Repeat("x/", 600) + "x"}
	for _, name := range good {
		if err := CheckName(name); err != nil {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
	for _, name := range bad {
		if err := CheckName(name); !errors.Is(err, ErrName) {
			t.Errorf("CheckName(%q) = %v, want ErrName", name, err)
		}
	}
}
