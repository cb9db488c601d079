package processes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"mockup.dev/mockup/internal/pidfd"
)

const (
	// shortest and longest pause before a program that keeps ending is started again.
	shortestPause = 100 * time.Millisecond
	longestPause  = 30 * time.Second
	// settled programs have run this long; their next end counts as the first.
	settled = time.Minute
)

// Watch keeps all other wanted programs running until ctx ends. Every program of ours calls it under its own name.
func (f Folder) Watch(ctx context.Context, self string, log *slog.Logger) error {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching %s: %w", f.Run, err)
	}
	defer notify.Close()
	if err := notify.Add(f.Run); err != nil {
		return fmt.Errorf("watching %s: %w", f.Run, err)
	}
	w := &watcher{Folder: f, log: log, attended: map[string]bool{}, left: make(chan struct{}, 1)}
	defer w.group.Wait()
	for {
		if err := w.attend(ctx, self); err != nil {
			log.Error("reading what should run", "error", err.Error())
		}
		if err := w.nextChange(ctx, notify); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// nextChange returns when the list of what should run may have changed.
func (w *watcher) nextChange(ctx context.Context, notify *fsnotify.Watcher) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.left:
			return nil
		case e, open := <-notify.Events:
			if !open {
				return errors.New("the watch of the run folder ended")
			}
			if filepath.Base(e.Name) == filepath.Base(w.wantedFile()) && !e.Has(fsnotify.Chmod) {
				return nil
			}
		case err := <-notify.Errors: // an overflow: something was missed
			if err != nil {
				return nil
			}
		}
	}
}

type watcher struct {
	Folder
	log   *slog.Logger
	group sync.WaitGroup

	mu       sync.Mutex
	attended map[string]bool
	// left says that a program is not attended any more: it may be wanted again already.
	left chan struct{}
}

// attend begins to keep those programs that nobody in this process keeps yet.
func (w *watcher) attend(ctx context.Context, self string) error {
	wanted, err := w.Wanted()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range wanted {
		if p.Name == self || w.attended[p.Name] || ctx.Err() != nil {
			continue
		}
		w.attended[p.Name] = true
		w.group.Go(func() {
			w.keep(ctx, p.Name)
			w.leave(p.Name)
		})
	}
	return nil
}

func (w *watcher) leave(name string) {
	w.mu.Lock()
	delete(w.attended, name)
	w.mu.Unlock()
	select {
	case w.left <- struct{}{}:
	default:
	}
}

// keep has the program name run until it should not any more.
func (w *watcher) keep(ctx context.Context, name string) {
	pause := shortestPause
	for ctx.Err() == nil {
		began := time.Now()
		pid, err := w.restore(ctx, name)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.log.Error("starting again", "process", name, "error", err.Error())
		case pid == 0:
			return
		default:
			w.waitFor(ctx, pid)
		}
		if time.Since(began) > settled {
			pause = shortestPause
		}
		if w.gone(name) {
			continue // not wanted any more: restore says so
		}
		w.log.Info("process ended", "process", name, "pid", pid, "pause", pause.String())
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

func (w *watcher) waitFor(ctx context.Context, pid int) {
	p, err := pidfd.Open(pid)
	if err != nil {
		if !errors.Is(err, syscall.ESRCH) {
			w.log.Error("watching", "pid", pid, "error", err.Error())
		}
		return
	}
	defer p.Close()
	if err := p.Wait(ctx); err != nil && ctx.Err() == nil {
		w.log.Error("watching", "pid", pid, "error", err.Error())
	}
}

// gone tells whether the program name is not wanted any more.
func (w *watcher) gone(name string) bool {
	wanted, err := w.Wanted()
	return err == nil && len(without(wanted, name)) == len(wanted)
}
