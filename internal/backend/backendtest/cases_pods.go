package backendtest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/gomega" //nolint:staticcheck // matchers read best without a qualifier

	"mockup.dev/mockup/internal/backend"
	"mockup.dev/mockup/internal/backend/backendtest/guest"
	"mockup.dev/mockup/manifests"
)

var podsCases = []Case{{ //nolint:gochecknoglobals // a table that nothing writes to
	Name: "logs give what the program wrote",
	run: func(e *env) {
		pod := e.running()
		logs := func(o backend.LogOptions) string {
			reader, err := e.b.Pods().Logs(e.Context(), pod, o)
			e.must("reading logs", err)
			defer e.close(reader)
			data, err := io.ReadAll(reader)
			e.must("reading logs", err)
			return string(data)
		}
		e.eventually(func() error {
			if got := logs(backend.LogOptions{}); got != guest.Banner+"\n" {
				return fmt.Errorf("the log is %q", got)
			}
			return nil
		})
		e.Expect(logs(backend.LogOptions{Container: "web", Tail: 1})).To(Equal(guest.Banner + "\n"))
		stamp, line, _ := strings.Cut(logs(backend.LogOptions{Timestamps: true}), " ")
		e.Expect(line).To(Equal(guest.Banner + "\n"))
		_, err := time.Parse(time.RFC3339Nano, stamp)
		e.Expect(err).NotTo(HaveOccurred())
	},
}, {
	Name: "logs that are followed end with their context",
	run: func(e *env) {
		ctx, cancel := context.WithCancel(e.Context())
		defer cancel()
		reader, err := e.b.Pods().Logs(ctx, e.running(), backend.LogOptions{Follow: true})
		e.must("following logs", err)
		defer e.close(reader)
		line, err := bufio.NewReader(reader).ReadString('\n')
		e.must("reading the first line", err)
		e.Expect(line).To(Equal(guest.Banner + "\n"))
		ended := make(chan struct{})
		go func() { _, _ = io.Copy(io.Discard, reader); close(ended) }()
		cancel()
		e.Eventually(ended).WithTimeout(e.h.Timeout).Should(BeClosed())
	},
}, {
	Name: "a command gets its input, gives its output and its exit code",
	run: func(e *env) {
		pod := e.running()
		var stdout, stderr bytes.Buffer
		code, err := e.b.Pods().Exec(e.Context(), pod, backend.ExecRequest{
			Container: "web", Command: []string{guest.Path, "stdin"},
			Stdin: strings.NewReader("a\nb"), Stdout: &stdout, Stderr: &stderr,
		})
		e.must("executing", err)
		e.Expect(code).To(Equal(0))
		e.Expect(stdout.String()).To(Equal("a\nb"))
		code, err = e.b.Pods().Exec(e.Context(), pod, backend.ExecRequest{
			Command: []string{guest.Path, "cat", "/nowhere"}, Stderr: &stderr,
		})
		e.Expect(err).NotTo(HaveOccurred(), "the failure of a command is not a failure to run it")
		e.Expect(code).To(Equal(1))
		e.Expect(stderr.String()).To(ContainSubstring("/nowhere"))
		code, err = e.b.Pods().Exec(e.Context(), pod, backend.ExecRequest{Command: []string{guest.Path, "exit", "42"}})
		e.Expect(err).NotTo(HaveOccurred())
		e.Expect(code).To(Equal(42))
	},
}, {
	Name: "a port inside a pod can be dialled",
	run: func(e *env) {
		pod := e.running()
		for _, path := range []string{"/one", "/two"} {
			e.Expect(e.get(pod, path)).To(Equal(path + "\n"))
		}
	},
}, {
	Name: "a pod that is not there is named in the error",
	run: func(e *env) {
		e.running()
		e.unreachable(backend.PodRef{Owner: e.owner, Pod: "no-such-pod"}, "")
	},
}, {
	Name: "a container that is not there is named in the error",
	run: func(e *env) {
		pod := e.running()
		_, err := e.b.Pods().Logs(e.Context(), pod, backend.LogOptions{Container: "no-such-container"})
		e.Expect(err).To(MatchError(ContainSubstring("no-such-container")))
		_, err = e.b.Pods().Exec(e.Context(), pod, backend.ExecRequest{
			Container: "no-such-container", Command: []string{guest.Path, "exit", "0"},
		})
		e.Expect(err).To(MatchError(ContainSubstring("no-such-container")))
	},
}, {
	Name: "a pod of another owner can't be looked into",
	run: func(e *env) {
		other := e.sibling(e.h.Namespaces[0])
		pod := other.running()
		pod.Owner = e.owner
		e.unreachable(pod, "")
	},
}}

// running is a pod of a workload at rest.
func (e *env) running() backend.PodRef {
	e.Helper()
	web := e.deployment("web")
	e.ready(e.set(web))
	return e.ref(e.onlyPod(manifests.RefOf(web)))
}

// unreachable expects that every way into a pod fails with an error that names it.
func (e *env) unreachable(pod backend.PodRef, container string) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), e.h.ApplyLimit)
	defer cancel()
	_, err := e.b.Pods().Logs(ctx, pod, backend.LogOptions{Container: container})
	e.Expect(err).To(MatchError(ContainSubstring(pod.Pod)))
	_, err = e.b.Pods().Exec(ctx, pod, backend.ExecRequest{Container: container, Command: []string{guest.Path, "exit", "0"}})
	e.Expect(err).To(MatchError(ContainSubstring(pod.Pod)))
	_, err = e.b.Pods().Dial(ctx, pod, guest.Port)
	e.Expect(err).To(MatchError(ContainSubstring(pod.Pod)))
	e.Expect(ctx.Err()).NotTo(HaveOccurred(), "the errors came late")
}

// get asks the program in a pod for path over a dialled connection.
func (e *env) get(pod backend.PodRef, path string) string {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), e.h.Timeout)
	defer cancel()
	conn, err := e.b.Pods().Dial(ctx, pod, guest.Port)
	e.must("dialling", err)
	defer e.close(conn)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://pod"+path, nil)
	e.must("making a request", err)
	e.must("sending a request", request.Write(conn))
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	e.must("reading the answer", err)
	defer e.close(response.Body)
	body, err := io.ReadAll(response.Body)
	e.must("reading the answer's body", err)
	return string(body)
}
