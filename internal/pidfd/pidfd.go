// Package pidfd holds on to processes that need not be our children.
package pidfd

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is held by a descriptor that can't come to mean another one, as a pid can.
type Process struct{ file *os.File }

// Open takes hold of a process. The error is ESRCH when it is gone.
func Open(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching process %d: %w", pid, err)
	}
	return &Process{os.NewFile(uintptr(fd), fmt.Sprintf("process %d", pid))}, nil
}

// Close lets go of it.
func (p *Process) Close() { _ = p.file.Close() }

// Signal is no error when the process is gone.
func (p *Process) Signal(s syscall.Signal) error {
	raw, err := p.file.SyscallConn()
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

// Wait returns nil when the process has ended, and ctx's error when that ends first. It costs no thread and no polling:
// the runtime's own poller wakes it.
func (p *Process) Wait(ctx context.Context) error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	cancel := context.AfterFunc(ctx, func() { _ = p.file.SetReadDeadline(time.Unix(1, 0)) })
	defer cancel()
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n == 1
	})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		_ = p.file.SetReadDeadline(time.Time{})
		return ctx.Err()
	}
	return fmt.Errorf("waiting for %s to end: %w", p.file.Name(), err)
}
