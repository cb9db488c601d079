package guest

import (
	"context"
	"errors"
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
	// ReloadFrom is a file that it copies to ReloadTo when it is told by POST ReloadPath or SIGHUP; it refuses one that holds
	// the word "broken".
	ReloadFrom, ReloadTo string

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
	flags.StringVar(&s.ReloadFrom, "reload-from", "", "file to copy when told so")
	flags.StringVar(&s.ReloadTo, "reload-to", "", "file to copy it to")
	flags.DurationVar(&s.drain, "drain", 0, "time to go on serving after being asked to stop")
	if err := flags.Parse(args[1:]); err != nil {
		return s, fmt.Errorf("reading the arguments of serve: %w", err)
	}
	s.ports = slices.DeleteFunc([]int{port, also}, func(n int) bool { return n == 0 })
	return s, nil
}

// Note is what a program writes to its NoteFile when it is asked to stop.
const Note = "term\n"

// serverOf the last command of p that serves.
func serverOf(p Process) Server {
	var s Server
	for _, command := range Commands(p.Args) {
		if is, ok := ServerOf(command); ok {
			s = is
		}
	}
	return s
}

// ReloadPath is where a POST has the program take up its configuration.
const ReloadPath = "/reload"

// Reload does what a program started with p.Args does when it is told to take up its configuration.
func Reload(p Process) error {
	s := serverOf(p)
	if s.ReloadFrom == "" {
		return errors.New("there is nothing to reload")
	}
	if err := reject(context.Background(), p, []string{s.ReloadFrom, "broken"}); err != nil {
		return err
	}
	return copyFile(context.Background(), p, []string{s.ReloadFrom, s.ReloadTo})
}

// Handler answers HTTP as a program started with p.Args does.
func Handler(p Process) http.Handler {
	s := serverOf(p)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait, ok := strings.CutPrefix(r.URL.Path, "/wait/"); ok {
			d, _ := time.ParseDuration(wait)
			time.Sleep(d)
		}
		if r.URL.Path == "/readyz" && (s.NeverReady || s.unready(p)) {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path == ReloadPath && r.Method == http.MethodPost {
			if err := Reload(p); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
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

// until ctx ends or serving fails; a hangup is an order to reload.
func until(ctx context.Context, p Process, failed <-chan error) error {
	for {
		select {
		case err := <-failed:
			return fmt.Errorf("serving: %w", err)
		case <-p.Hangup:
			if err := Reload(p); err != nil {
				_, _ = fmt.Fprintln(p.Stderr, "guest:", err) // nobody else hears of it
			}
		case <-ctx.Done():
			return nil
		}
	}
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
	if err := until(ctx, p, failed); err != nil {
		return err
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
