package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	// DefaultIdle is how long an agent without an owner stays.
	DefaultIdle = 10 * time.Second
	// idleLook is how often an agent looks whether it is needed; shorter where it must not stay long.
	idleLook = 250 * time.Millisecond
	// endTimeout bounds how long requests that are under way keep an agent that was told to end.
	endTimeout = 500 * time.Millisecond
	// headerTimeout bounds how long a client may take to say what it wants.
	headerTimeout = 3 * time.Second
	// maxSocketPath is the longest path of a unix socket in bytes.
	maxSocketPath = 107
	// wallLook is how often the agent looks whether the walls between networks stand: one question to the kernel.
	wallLook = 2 * time.Second
	// maxState is the size of the largest State that is accepted, in bytes.
	maxState = 16 << 20
)

// Options of an agent.
type Options struct {
	// Dir holds the socket, the lock and what the owners told. Only its user may enter it. Required.
	Dir string
	Log *slog.Logger
	// Idle is how long the agent stays without an owner; DefaultIdle if zero.
	Idle time.Duration
	// ResolvConf names the name servers for names that are not ours; /etc/resolv.conf if empty.
	ResolvConf string
}

// SocketPath of the agent whose folder is dir.
func SocketPath(dir string) string { return filepath.Join(dir, "node.sock") }

// Run serves until ctx ends, a client says stop, or nobody has needed the agent for a while. If another agent runs in the
// folder, the error is a *RunningError.
func Run(ctx context.Context, o Options) error {
	build, err := Build()
	if err != nil {
		return err
	}
	return run(ctx, o.withDefaults(), build)
}

func run(ctx context.Context, o Options, build string) error {
	if err := makeDir(o.Dir); err != nil {
		return err
	}
	release, err := lock(o.Dir)
	if err != nil {
		return err
	}
	defer release()
	a, err := newAgent(o)
	if err != nil {
		return err
	}
	defer a.end()
	listener, err := listenUnix(SocketPath(o.Dir))
	if err != nil {
		return err
	}
	o.Log.Info("serving", "dir", o.Dir, "build", build, "owners", len(a.owners))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go a.bridges.watch(ctx)
	go a.guard(ctx)
	go a.logs.watch(ctx)
	err = serve(ctx, listener, newHandler(ctx, a, build, stop), func() bool { return a.endIfIdle(o.Idle) }, o.Idle)
	o.Log.Info("ended", "dir", o.Dir)
	return err
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	return o
}

// makeDir makes the folder for its user alone.
func makeDir(dir string) error {
	if len(SocketPath(dir)) > maxSocketPath {
		return fmt.Errorf("folder %s of the node agent: its path is longer than the %d bytes that a socket's path may have", dir, maxSocketPath)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the node agent's folder: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("making the node agent's folder: %w", err)
	}
	return nil
}

// listenUnix takes the place of a socket whose agent was killed; the lock says that there is no other.
func listenUnix(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the socket of the last run: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("opening the node agent's socket: %w", err)
	}
	return l, nil
}

// serve until ctx ends or ended says so. Requests that are under way are answered.
func serve(ctx context.Context, l net.Listener, handler http.Handler, ended func() bool, idle time.Duration) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	look := time.NewTicker(min(idleLook, idle))
	defer look.Stop()
	for {
		select {
		case err := <-failed:
			return fmt.Errorf("serving the node agent's socket: %w", err)
		case <-look.C:
			if !ended() {
				continue
			}
		case <-ctx.Done():
		}
		end, cancel := context.WithTimeout(context.Background(), endTimeout)
		defer cancel()
		if server.Shutdown(end) != nil {
			_ = server.Close() // what is still under way then has waited too long
		}
		return nil
	}
}

// Version is what an agent says of itself.
type Version struct {
	// Build of its executable, see Build.
	Build string `json:"build"`
	PID   int    `json:"pid"`
}

// newHandler offers the agent by HTTP until ctx ends.
func newHandler(ctx context.Context, a *agent, build string, stop func()) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		if a.isEnding() { // who asks is to start another
			writeError(w, errEnding)
			return
		}
		writeJSON(w, Version{Build: build, PID: os.Getpid()})
	})
	mux.HandleFunc("GET /watch", func(w http.ResponseWriter, r *http.Request) { serveWatch(ctx, w, r) })
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		a.end()
		stop()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /usage", serveUsage)
	mux.HandleFunc("PUT /owners/{owner}", a.servePut)
	mux.HandleFunc("GET /owners/{owner}", func(w http.ResponseWriter, r *http.Request) {
		state, ok := a.get(r.PathValue("owner"))
		if !ok {
			http.Error(w, "no such owner: "+r.PathValue("owner"), http.StatusNotFound)
			return
		}
		writeJSON(w, state)
	})
	mux.HandleFunc("DELETE /owners/{owner}", func(w http.ResponseWriter, r *http.Request) {
		if err := a.remove(r.PathValue("owner")); err != nil {
			writeError(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect { // has no path
			a.serveConnect(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (a *agent) servePut(w http.ResponseWriter, r *http.Request) {
	var state State
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxState)).Decode(&state); err != nil {
		writeError(w, &InvalidError{err.Error()})
		return
	}
	if state.Owner != r.PathValue("owner") {
		writeError(w, &InvalidError{fmt.Sprintf("owner is %q in the state and %q in the path", state.Owner, r.PathValue("owner"))})
		return
	}
	answer, err := a.put(state)
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, answer)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who asked is gone
}

func writeError(w http.ResponseWriter, err error) {
	var invalid *InvalidError
	code := http.StatusInternalServerError
	switch {
	case errors.As(err, &invalid):
		code = http.StatusBadRequest
	case errors.Is(err, errEnding):
		code = http.StatusServiceUnavailable
	}
	http.Error(w, err.Error(), code)
}
