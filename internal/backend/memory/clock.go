package memory

import "time"

// alarm reports a tenant again when something is due.
type alarm struct {
	timer *time.Timer
	at    time.Time
}

func (a *alarm) forget() {
	if a.timer != nil {
		a.timer.Stop()
	}
	*a = alarm{}
}

// Second sets how long a second lasts that a manifest speaks of; a real one if never called.
func (w *World) Second(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.second = d
}

// lasting is how long d lasts in this world.
func (w *World) lasting(d time.Duration) time.Duration {
	return time.Duration(d.Seconds() * float64(w.second))
}

// due tells whether a time has come; if not, the tenant is reported then. Called with the lock held.
func (w *World) due(t *tenant, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return true
	}
	if t.alarm.timer == nil || at.Before(t.alarm.at) {
		t.alarm.forget()
		t.alarm.at = at
		t.alarm.timer = time.AfterFunc(wait, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.report(t.owner)
		})
	}
	return false
}
