package backendtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

var endCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name:    "a preStop command runs to its end before the program is asked to stop",
	Without: needsHooks,
	run: func(e *env) {
		hook := &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{
			guest.Path, "append", "/log/end", "begin", "then", "sleep", e.lasting(500 * time.Millisecond).String(), "then", "append", "/log/end", "end",
		}}}
		e.ends(hook, 10, func(notes []string, _ time.Duration, gone bool) error {
			want := []string{"begin", "end", "term"}
			if !slices.Equal(notes, want[:min(len(want), len(notes))]) {
				e.Fatalf("the pod noted %v, not %v", notes, want)
			}
			if !gone || len(notes) < len(want) {
				return fmt.Errorf("the pod noted %v; gone: %t", notes, gone)
			}
			return nil
		})
	},
}, {
	Name:    "a preStop of sleep keeps the program from being asked to stop for that long",
	Without: needsHooks,
	run: func(e *env) {
		hook := &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 2}}
		e.ends(hook, 10, func(notes []string, after time.Duration, gone bool) error {
			if after < e.lasting(2*time.Second) && (len(notes) > 0 || gone) {
				e.Fatalf("asked to stop after %s", after)
			}
			if !gone || len(notes) == 0 {
				return fmt.Errorf("the pod noted %v; gone: %t", notes, gone)
			}
			return nil
		})
	},
}, {
	Name:    "a preStop that takes longer than the grace does not keep the pod",
	Without: needsHooks,
	run: func(e *env) {
		hook := &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{guest.Path, "sleep", "1h"}}}
		e.ends(hook, 2, func(_ []string, after time.Duration, gone bool) error {
			if after < e.lasting(2*time.Second) && gone {
				e.Fatalf("gone after %s, within its grace", after)
			}
			if !gone {
				return fmt.Errorf("the pod is still there after %s", after)
			}
			return nil
		})
	},
}, {
	Name:    "a request that is open when its pod is to go is answered within the grace",
	Without: needsHooks,
	run: func(e *env) {
		web := e.deployment("web", "serve", "-drain", "500ms")
		web.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(10))
		d := e.drive(e.set(web))
		d.ready()
		answer := make(chan error, 1)
		begun := make(chan struct{})
		pod := e.ref(e.onlyPod(manifests.RefOf(web)))
		go func() { answer <- e.waits(pod, "/wait/1s", begun) }()
		<-begun
		d.change(e.set())
		e.must("waiting for the answer", <-answer)
		d.ready()
	},
}}

func needsHooks(h Harness) string {
	return lacks(h.Can.Hooks, "the end of a pod is not the work of this backend")
}

// ends removes a pod with a preStop hook, and looks at what it notes on its way until check has no more complaint: after is
// how long ago it was in the set, at least.
func (e *env) ends(hook *corev1.LifecycleHandler, grace int64, check func(notes []string, after time.Duration, gone bool) error) {
	e.Helper()
	claim, reader := e.log()
	web := e.deployment("web", "serve", "-note", "/log/end")
	mountClaim(web, claim, "/log")
	web.Spec.Template.Spec.TerminationGracePeriodSeconds = &grace
	web.Spec.Template.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: hook}
	d := e.drive(e.set(claim, reader, web))
	d.ready()
	removed := time.Now()
	d.change(e.set(claim, reader))
	e.eventually(func() error {
		gone := e.gone(manifests.RefOf(web)) == nil
		notes := e.lines(reader, "/log/end")
		return check(notes, time.Since(removed), gone)
	}, func() string { return describe(d.look()) })
}

// waits for the answer to a request over a dialled connection. Unlike get it may be used beside the case.
func (e *env) waits(pod backend.PodRef, path string, begun chan<- struct{}) error {
	ctx, cancel := context.WithTimeout(e.Context(), e.h.Timeout)
	defer cancel()
	conn, err := e.b.Pods().Dial(ctx, pod, guest.Port)
	if err != nil {
		close(begun)
		return fmt.Errorf("dialling: %w", err)
	}
	defer func() { _ = conn.Close() }() // all of the answer has been read
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://pod"+path, nil)
	if err == nil {
		err = request.Write(conn)
	}
	close(begun)
	if err != nil {
		return fmt.Errorf("sending a request: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	body, err := io.ReadAll(response.Body)
	if err == nil && string(body) != path+"\n" {
		err = fmt.Errorf("the answer is %q", body)
	}
	_ = response.Body.Close() // the connection goes with it
	return err
}
