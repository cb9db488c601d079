package processes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"mockup.dev/mockup/internal/pidfd"
)

// Change says what Ensure did.
type Change string

// The changes.
const (
	Unchanged Change = "already running"
	Started   Change = "started"
	Restarted Change = "restarted"
)

// lockTimeout is how long another caller may hold the lock: it may be waiting for a program to end.
const lockTimeout = time.Minute

// Ensure has p run, now and whenever it ends unasked. One that runs from other arguments, inputs or another build of its
// program is ended and started anew.
func (f Folder) Ensure(ctx context.Context, p Process) (Change, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	fingerprint, err := p.fingerprint()
	if err != nil {
		return "", err
	}
	change, running := f.compare(p.Name, fingerprint)
	if f.supervised(p.Name) {
		return f.supervise(ctx, p, change, running)
	}
	if change == Restarted {
		if err := stop(ctx, running, p.Grace); err != nil {
			return "", fmt.Errorf("ending the old %s: %w", p.Name, err)
		}
	}
	wanted, err := f.Wanted()
	if err != nil {
		return "", err
	}
	wanted = append(without(wanted, p.Name), p)
	if change != Unchanged {
		if _, err := f.start(p, fingerprint); err != nil {
			return "", err
		}
	}
	return change, f.writeWanted(wanted)
}

func (f Folder) supervised(name string) bool { return f.Supervisor != nil && f.Supervisor.Keeps(name) }

// supervise has the supervisor keep p. One that we kept until now is taken over: it is ended, and started there.
func (f Folder) supervise(ctx context.Context, p Process, change Change, running int) (Change, error) {
	wanted, err := f.Wanted()
	if err != nil {
		return "", err
	}
	if others := without(slices.Clone(wanted), p.Name); len(others) < len(wanted) {
		if err := f.writeWanted(others); err != nil {
			return "", err
		}
		if err := stop(ctx, running, p.Grace); err != nil {
			return "", fmt.Errorf("ending the old %s: %w", p.Name, err)
		}
		change = Restarted
	}
	if change == Unchanged {
		return change, nil
	}
	m, err := f.Mark(p)
	if err != nil {
		return "", err
	}
	return change, f.Supervisor.Start(ctx, p, m)
}

// compare tells what has to be done for the program name to run from fingerprint.
func (f Folder) compare(name, fingerprint string) (Change, int) {
	switch pid, runs := f.find(name); {
	case pid == 0:
		return Started, 0
	case runs == fingerprint:
		return Unchanged, pid
	default:
		return Restarted, pid
	}
}

// restore starts p if it should run and does not, and returns its pid; 0 if it should not run any more.
func (f Folder) restore(ctx context.Context, name string) (int, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	wanted, err := f.Wanted()
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(wanted, func(p Process) bool { return p.Name == name })
	if i < 0 {
		return 0, nil
	}
	if pid := f.Running(name); pid != 0 {
		return pid, nil
	}
	fingerprint, err := wanted[i].fingerprint()
	if err != nil {
		return 0, err
	}
	return f.start(wanted[i], fingerprint)
}

// End has the program name run no more, and returns when it has ended. It is no error if it did not run.
func (f Folder) End(ctx context.Context, name string) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	wanted, err := f.Wanted()
	if err != nil {
		return err
	}
	if f.supervised(name) {
		if err := f.Supervisor.Stop(ctx, name); err != nil {
			return err
		}
	}
	grace := defaultGrace
	if i := slices.IndexFunc(wanted, func(p Process) bool { return p.Name == name }); i >= 0 {
		grace = wanted[i].Grace
		if err := f.writeWanted(without(wanted, name)); err != nil {
			return err
		}
	}
	if err := stop(ctx, f.Running(name), grace); err != nil {
		return fmt.Errorf("ending %s: %w", name, err)
	}
	if err := os.Remove(f.PIDFile(name)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("removing a pid file: %w", err)
	}
	return nil
}

// defaultGrace is for programs that nobody wants any more but that run.
const defaultGrace = 10 * time.Second

func without(wanted []Process, name string) []Process {
	return slices.DeleteFunc(wanted, func(p Process) bool { return p.Name == name })
}

// stop asks pid to end, and kills it when it has not within grace.
func stop(ctx context.Context, pid int, grace time.Duration) error {
	if pid == 0 {
		return nil
	}
	w, err := pidfd.Open(pid)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer w.Close()
	for _, s := range []struct {
		signal  syscall.Signal
		timeout time.Duration
	}{{syscall.SIGTERM, grace}, {syscall.SIGKILL, defaultGrace}} {
		if err := w.Signal(s.signal); err != nil {
			return fmt.Errorf("signalling process %d: %w", pid, err)
		}
		limited, cancel := context.WithTimeout(ctx, s.timeout)
		ended := w.Wait(limited)
		cancel()
		if ended == nil || ctx.Err() != nil {
			return ended
		}
	}
	return fmt.Errorf("process %d does not end, even killed", pid)
}

// lock makes sure that one caller at a time looks and acts. The kernel drops the lock with the process.
func (f Folder) lock(ctx context.Context) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(f.Run, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the processes: %w", err)
	}
	deadline := time.Now().Add(lockTimeout)
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = file.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
		case ctx.Err() != nil:
			err = ctx.Err()
		case time.Now().After(deadline):
			err = fmt.Errorf("another command has held it for %s", lockTimeout)
		default:
			time.Sleep(20 * time.Millisecond)
			continue
		}
		_ = file.Close()
		return nil, fmt.Errorf("taking the lock %s: %w", file.Name(), err)
	}
}
