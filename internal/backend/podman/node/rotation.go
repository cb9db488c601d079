package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A kubelet's names and defaults (pkg/kubelet/logs/container_log_manager.go, containerLogMaxFiles in
// pkg/kubelet/apis/config/v1beta1/defaults.go).
const (
	// logSuffix of the file that a container writes to now, after its number: a kubelet's is that of the container's starts.
	// Here each file has one of its own. Promtail knows a file by its name: one that was away while a file became full would go
	// on in the next where it had stopped in that, and leave out what stands before.
	logSuffix = ".log"
	// rotatedLayout is the time that is added to it when it is full.
	rotatedLayout = "20060102-150405"
	// maxLogFiles of a container, the current one among them.
	maxLogFiles = 5

	// nextLog is what is about to become the current one.
	nextLog = ".next"
	// openFolder is the mode of folders that log agents of any user may look into, as a kubelet has it.
	openFolder fs.FileMode = 0o755
)

// containerLog is the log of one container.
type containerLog struct {
	// source is the file that Podman writes. When it is full, conmon renames a new one over it (reopen_k8s_file,
	// src/ctr_logging.c), and so does away with what is in the old one, unless another name leads there.
	source string
	// folder has such names.
	folder string
}

func (l containerLog) file(name string) string { return filepath.Join(l.folder, name) }

// logFiles are the names of a container's log.
type logFiles struct {
	// current is the one that is written; empty if there is none.
	current string
	// rotated ones, the oldest first.
	rotated []string
	// next number that no file has had.
	next int
}

func (l containerLog) files() (logFiles, error) {
	var f logFiles
	entries, err := os.ReadDir(l.folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("looking for the log of a container: %w", err)
	}
	for _, e := range entries {
		number, stamp, _ := strings.Cut(e.Name(), logSuffix)
		n, err := strconv.Atoi(number)
		switch {
		case err != nil: // nextLog
			continue
		case stamp == "":
			f.current = e.Name()
		default:
			f.rotated = append(f.rotated, e.Name())
		}
		f.next = max(f.next, n+1)
	}
	slices.SortFunc(f.rotated, func(a, b string) int { return strings.Compare(filepath.Ext(a), filepath.Ext(b)) })
	return f, nil
}

// follow has the current log be the file that is written now, and what was there before become a rotated one. A source that
// is not there has not been begun, or is gone with its container; its last words stay.
func (l containerLog) follow(now time.Time) error {
	if err := l.turn(now); err != nil { // an agent may have been killed over it
		return err
	}
	source, err := os.Stat(l.source)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at the log of a container: %w", err)
	}
	files, err := l.files()
	if err != nil {
		return err
	}
	if current, err := os.Stat(l.file(files.current)); err == nil && os.SameFile(source, current) {
		return nil
	}
	if err := makeOpen(l.folder); err != nil {
		return err
	}
	err = os.Link(l.source, l.file(nextLog)) // first of all: from here on, nothing of it is lost
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keeping the log of a container: %w", err)
	}
	return l.turn(now)
}

// turn makes the next log, if there is one, the current one.
func (l containerLog) turn(now time.Time) error {
	next, err := os.Lstat(l.file(nextLog))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for a log that is new: %w", err)
	}
	files, err := l.files()
	if err != nil {
		return err
	}
	var unfinished error
	current, err := os.Lstat(l.file(files.current))
	if err == nil && files.current != "" {
		if os.SameFile(current, next) { // renaming one to the other would leave both (rename(2))
			return os.Remove(l.file(nextLog))
		}
		unfinished = finish(l.file(files.current), l.file(nextLog)) // while log agents follow it by this name
		err = l.rotate(files, now)
	}
	if err == nil {
		err = os.Rename(l.file(nextLog), l.file(strconv.Itoa(files.next)+logSuffix))
	}
	if err != nil {
		err = fmt.Errorf("rotating the log of a container: %w", err)
	}
	return errors.Join(unfinished, err)
}

// rotate gives the current log the name of a rotated one, later than those of all others, and removes the oldest.
func (l containerLog) rotate(files logFiles, now time.Time) error {
	rotated := files.rotated
	if len(rotated) > 0 {
		text := filepath.Ext(rotated[len(rotated)-1])[1:]
		if last, err := time.ParseInLocation(rotatedLayout, text, time.Local); err == nil && !now.Truncate(time.Second).After(last) {
			now = last.Add(time.Second)
		}
	}
	for len(rotated) > maxLogFiles-2 { // beside this one and the next
		if err := os.Remove(l.file(rotated[0])); err != nil {
			return err
		}
		rotated = rotated[1:]
	}
	return os.Rename(l.file(files.current), l.file(files.current+"."+now.Format(rotatedLayout)))
}

// makeOpen makes a folder that all may look into, whatever the umask.
func makeOpen(folder string) error {
	if info, err := os.Stat(folder); err == nil && info.Mode().Perm() == openFolder {
		return nil
	}
	if err := os.Mkdir(folder, openFolder); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making a folder for logs: %w", err)
	}
	if err := os.Chmod(folder, openFolder); err != nil {
		return fmt.Errorf("opening a folder for logs: %w", err)
	}
	return nil
}
