package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A kubelet's names and defaults (pkg/kubelet/logs/container_log_manager.go, containerLogMaxFiles in
// pkg/kubelet/apis/config/v1beta1/defaults.go).
const (
	// currentLog is the file that a container writes to now.
	currentLog = "0.log"
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
	if current, err := os.Stat(l.file(currentLog)); err == nil && os.SameFile(source, current) {
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
	current, err := os.Lstat(l.file(currentLog))
	switch {
	case err == nil && os.SameFile(current, next): // renaming one to the other would leave both (rename(2))
		err = os.Remove(l.file(nextLog))
	case err == nil:
		if err = l.rotate(now); err == nil {
			err = os.Rename(l.file(nextLog), l.file(currentLog))
		}
	case errors.Is(err, fs.ErrNotExist):
		err = os.Rename(l.file(nextLog), l.file(currentLog))
	}
	if err != nil {
		return fmt.Errorf("rotating the log of a container: %w", err)
	}
	return nil
}

// rotate gives the current log the name of a rotated one, later than those of all others, and removes the oldest.
func (l containerLog) rotate(now time.Time) error {
	rotated, err := filepath.Glob(l.file(currentLog + ".*"))
	if err != nil {
		return err
	}
	slices.Sort(rotated)
	if len(rotated) > 0 {
		text := filepath.Ext(rotated[len(rotated)-1])[1:]
		if last, err := time.ParseInLocation(rotatedLayout, text, time.Local); err == nil && !now.Truncate(time.Second).After(last) {
			now = last.Add(time.Second)
		}
	}
	for len(rotated) > maxLogFiles-2 { // beside this one and the next
		if err := os.Remove(rotated[0]); err != nil {
			return err
		}
		rotated = rotated[1:]
	}
	return os.Rename(l.file(currentLog), l.file(currentLog+"."+now.Format(rotatedLayout)))
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
