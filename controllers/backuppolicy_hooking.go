package controllers

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"mockup.dev/mockup/api/v1alpha1"
)

// hooking are the hooks that go on beside the passes, one for each policy, or how the newest one ended.
type hooking struct {
	mu sync.Mutex
	by map[types.NamespacedName]*hookRun
	// ended names policies whose hook has ended, to be looked at again.
	ended chan event.GenericEvent
}

type hookRun struct {
	id      string
	cancel  context.CancelFunc
	outcome *v1alpha1.BackupHookOutcome
}

func newHooking() *hooking {
	return &hooking{by: map[types.NamespacedName]*hookRun{}, ended: make(chan event.GenericEvent)}
}

// outcome of the hook called id of a policy, which is begun if it has not been; nil while it goes on. It is told as often as
// it is asked for, since the status may have to be written again.
func (h *hooking) outcome(policy types.NamespacedName, id string, do func(context.Context) v1alpha1.BackupHookOutcome) *v1alpha1.BackupHookOutcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.by[policy]; now != nil && now.id == id {
		return now.outcome
	}
	h.stop(policy)
	ctx, cancel := context.WithCancel(context.Background())
	run := &hookRun{id: id, cancel: cancel}
	h.by[policy] = run
	go func() {
		out := do(ctx)
		h.mu.Lock()
		run.outcome = &out
		h.mu.Unlock()
		h.ended <- event.GenericEvent{Object: &v1alpha1.BackupPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: policy.Namespace, Name: policy.Name}}}
	}()
	return nil
}

// forget a policy that is gone.
func (h *hooking) forget(policy types.NamespacedName) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stop(policy)
}

// stop what goes on; called with the lock held.
func (h *hooking) stop(policy types.NamespacedName) {
	if now := h.by[policy]; now != nil {
		now.cancel()
		delete(h.by, policy)
	}
}

const (
	// mostKept bytes of what a hook prints are kept, and mostTold of them are told.
	mostKept = 16 << 10
	mostTold = 300
	// shortestSecret that is covered: what is shorter would cover words of everybody.
	shortestSecret = 4
)

// ending keeps the end of what is written to it. A program whose time is over may still write.
type ending struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (e *ending) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.text = append(e.text, b...)
	e.text = e.text[max(0, len(e.text)-mostKept):]
	return len(b), nil
}

func (e *ending) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.TrimSpace(string(e.text))
}

// cover the values of secrets in a text, whole, line by line, and in base64.
func cover(text string, secrets map[string]*corev1.Secret) string {
	var values []string
	for _, s := range secrets {
		for _, v := range s.Data {
			values = append(values, string(v), base64.StdEncoding.EncodeToString(v))
			values = append(values, strings.Split(string(v), "\n")...)
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) }) // one may be part of another
	for _, v := range values {
		if v = strings.TrimSpace(v); len(v) >= shortestSecret {
			text = strings.ReplaceAll(text, v, "***")
		}
	}
	return text
}

// shortened to the end of a text, on one line.
func shortened(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(text) > mostTold {
		text = "… " + strings.ToValidUTF8(text[len(text)-mostTold:], "")
	}
	return text
}
