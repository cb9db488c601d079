package guest

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Server is how a serving program behaves, for worlds that do not run it.
type Server struct {
	// NeverReady: it never answers /readyz with 200.
	NeverReady bool
	// UnreadyFile: nor while this file exists.
	UnreadyFile string
	// NoteFile is where it notes that it was asked to stop.
	NoteFile string

	ports []int
	drain time.Duration
}

// ServerOf the command "serve"; false for any other.
func ServerOf(command []string) (Server, bool) {
	if len(command) == 0 || command[0] != "serve" {
		return Server{}, false
	}
	s, err := parseServe(command)
	return s, err == nil
}

func parseServe(args []string) (Server, error) {
	var s Server
	var port, also int
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&port, "port", Port, "TCP port")
	flags.IntVar(&also, "also", 0, "another TCP port")
	flags.BoolVar(&s.NeverReady, "never-ready", false, "answer /readyz with 503")
	flags.StringVar(&s.UnreadyFile, "unready-file", "", "answer /readyz with 503 while this file exists")
	flags.StringVar(&s.NoteFile, "note", "", "file to note in that the program was asked to stop")
	flags.DurationVar(&s.drain, "drain", 0, "time to go on serving after being asked to stop")
	if err := flags.Parse(args[1:]); err != nil {
		return s, fmt.Errorf("reading the arguments of serve: %w", err)
	}
	s.ports = slices.DeleteFunc([]int{port, also}, func(n int) bool { return n == 0 })
	return s, nil
}

// Note is what a program writes to its NoteFile when it is asked to stop.
const Note = "term\n"

// Handler answers HTTP as a program started with p.Args does.
func Handler(p Process) http.Handler {
	var s Server
	for _, command := range Commands(p.Args) {
		if is, ok := ServerOf(command); ok {
			s = is
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait, ok := strings.CutPrefix(r.URL.Path, "/wait/"); ok {
			d, _ := time.ParseDuration(wait)
			time.Sleep(d)
		}
		if r.URL.Path == "/readyz" && (s.NeverReady || s.unready(p)) {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, r.URL.Path) // the client that went away knows
	})
}

func (s Server) unready(p Process) bool {
	if s.UnreadyFile == "" {
		return false
	}
	_, err := p.ReadFile(s.UnreadyFile)
	return err == nil
}

func serve(ctx context.Context, p Process) error {
	s, err := parseServe(p.Args)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: Handler(p), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, len(s.ports))
	for _, port := range s.ports {
		listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		go func() { failed <- server.Serve(listener) }()
	}
	if _, err := fmt.Fprintln(p.Stdout, Banner); err != nil {
		return fmt.Errorf("writing to the log: %w", err)
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	if s.NoteFile != "" {
		if err := p.AppendFile(s.NoteFile, []byte(Note)); err != nil {
			return fmt.Errorf("noting the end: %w", err)
		}
	}
	if s.drain == 0 {
		return server.Close()
	}
	// It still takes requests for a while, as a program does that expects its name to be withdrawn, and ends those it has.
	time.Sleep(s.drain)
	final, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(final)
}
