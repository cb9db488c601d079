package processes

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watched is a process that need not be our child, held by a descriptor that can't come to mean another one.
type watched struct{ file *os.File }

// watchPID takes hold of a process. The error is ESRCH when it is gone.
func watchPID(pid int) (*watched, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching process %d: %w", pid, err)
	}
	return &watched{os.NewFile(uintptr(fd), fmt.Sprintf("process %d", pid))}, nil
}

func (w *watched) close() { _ = w.file.Close() }

// signal is no error when the process is gone.
func (w *watched) signal(s syscall.Signal) error {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	if err := raw.Control(func(fd uintptr) { failure = unix.PidfdSendSignal(int(fd), s, nil, 0) }); err != nil {
		return err
	}
	if failure == unix.ESRCH {
		return nil
	}
	return failure
}

// wait returns nil when the process has ended, and ctx's error when that ends first. It costs no thread and no polling:
// the runtime's own poller wakes it.
func (w *watched) wait(ctx context.Context) error {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	cancel := context.AfterFunc(ctx, func() { _ = w.file.SetReadDeadline(time.Unix(1, 0)) })
	defer cancel()
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n == 1
	})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		_ = w.file.SetReadDeadline(time.Time{})
		return ctx.Err()
	}
	return fmt.Errorf("waiting for %s to end: %w", w.file.Name(), err)
}
