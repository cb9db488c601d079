package memory

import (
	"context"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend/backendtest/guest"
)

// defaultGrace is Kubernetes' default of terminationGracePeriodSeconds.
const defaultGrace = 30 * time.Second

// leave is the end of a pod on its way.
type leave struct {
	// until is when the program is asked to stop, whatever the hook does.
	until  time.Time
	hooked bool
	cancel context.CancelFunc
}

// stop takes a pod that is on its way out one step further: its preStop hook, then the signal, and then it has drained.
func (w *World) stop(t *tenant, p *pod) bool {
	if p.drained {
		return false
	}
	if p.leave == nil {
		p.leave = w.hook(t, p)
	}
	if !p.leave.hooked && p.running && !w.due(t, p.leave.until) {
		return false
	}
	p.leave.cancel()
	if note := p.server.NoteFile; p.running && note != "" {
		_ = p.process(p.main(), nil, free{}).AppendFile(note, []byte(guest.Note)) // a program without its file ends too
	}
	p.running, p.drained = false, true
	return true
}

// hook begins the preStop hook of a pod.
func (w *World) hook(t *tenant, p *pod) *leave {
	grace := defaultGrace
	if s := p.template.Spec.TerminationGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &leave{until: time.Now().Add(w.lasting(grace)), cancel: cancel}
	var hook *corev1.LifecycleHandler
	if c := p.main().Lifecycle; c != nil {
		hook = c.PreStop
	}
	switch {
	case hook == nil || !p.running:
		l.hooked = true
	case hook.Sleep != nil:
		if end := time.Now().Add(w.lasting(time.Duration(hook.Sleep.Seconds) * time.Second)); end.Before(l.until) {
			l.until = end
		}
	case hook.Exec != nil && len(hook.Exec.Command) > 0:
		go func() {
			process := p.process(p.main(), hook.Exec.Command[1:], &w.mu)
			process.Stdout, process.Stderr = io.Discard, io.Discard
			guest.Run(ctx, process)
			w.mu.Lock()
			defer w.mu.Unlock()
			l.hooked = true
			w.report(t.owner)
		}()
	default:
		l.hooked = true // there is no network for the others
	}
	return l
}
