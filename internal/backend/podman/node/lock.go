package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockPatience is how long a start waits for the lock, since one agent may just be making room for the next.
const lockPatience = 300 * time.Millisecond

// RunningError is returned by Run when another agent runs in the same folder.
type RunningError struct {
	Dir string
	// PID of the other agent; 0 if it has not said yet.
	PID int
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("the node agent of %s is run by process %d already", e.Dir, e.PID)
}

// lock takes the lock of dir, or returns a *RunningError. The kernel drops it with the process, however that ends.
func lock(dir string) (release func(), err error) {
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock file: %w", err)
	}
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(lockPatience / 30) {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) || time.Now().After(deadline) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer file.Close()
		content, _ := io.ReadAll(io.LimitReader(file, 32))
		pid, _ := strconv.Atoi(strings.TrimSpace(string(content)))
		return nil, &RunningError{Dir: dir, PID: pid}
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("taking the lock file %s: %w", path, err)
	}
	return func() { _ = file.Truncate(0); _ = file.Close() }, nil
}
