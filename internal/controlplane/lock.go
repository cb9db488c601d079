package controlplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// lockPatience is how long Run tries for the lock. It bridges the instant in which Running looks at it.
const lockPatience = 300 * time.Millisecond

// Holder is the process that runs a control plane.
type Holder struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

// LockedError is returned by Run when another process runs a control plane in the same folder.
type LockedError struct {
	Dir    string
	Holder Holder // zero if the other process has not yet said who it is
}

func (e *LockedError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("a control plane is just being started in %s by another process", e.Dir)
	}
	return fmt.Sprintf("the control plane in %s is already run by process %d since %s",
		e.Dir, e.Holder.PID, e.Holder.Since.Local().Format(time.DateTime))
}

// acquireLock takes the lock of f, or returns a *LockedError. The kernel drops the lock with the process, however it
// ends. bbolt under etcd has a lock of its own, but waits for it without a word: hence this one, taken first.
func acquireLock(f folder) (release func(), err error) {
	file, err := os.OpenFile(f.lock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock file: %w", err)
	}
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(lockPatience / 10) {
		err = flock(file, syscall.LOCK_EX)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer file.Close()
		return nil, &LockedError{Dir: string(f), Holder: readHolder(file)}
	}
	if err == nil {
		err = writeHolder(file)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("taking lock file %s: %w", f.lock(), err)
	}
	return func() { _ = file.Truncate(0); _ = file.Close() }, nil
}

// Running tells which process runs the control plane of dir; ok is false if none does.
func Running(dir string) (holder Holder, ok bool, err error) {
	file, err := os.Open(folder(dir).lock())
	if errors.Is(err, os.ErrNotExist) {
		return Holder{}, false, nil
	}
	if err != nil {
		return Holder{}, false, fmt.Errorf("opening lock file: %w", err)
	}
	defer file.Close()
	err = flock(file, syscall.LOCK_SH) // shared: two who only look do not disturb each other
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return readHolder(file), true, nil
	}
	if err != nil {
		return Holder{}, false, fmt.Errorf("looking at lock file %s: %w", file.Name(), err)
	}
	return Holder{}, false, nil
}

// flock is flock(2) without waiting.
func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func writeHolder(file *os.File) error {
	content, err := json.Marshal(Holder{PID: os.Getpid(), Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err = file.WriteAt(content, 0)
	return err
}

// readHolder gives the zero Holder when the content is not there yet: the lock itself is the truth, this its label.
func readHolder(file *os.File) Holder {
	var h Holder
	content, err := io.ReadAll(io.NewSectionReader(file, 0, 4096))
	if err != nil || json.Unmarshal(content, &h) != nil {
		return Holder{}
	}
	return h
}
