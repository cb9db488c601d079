// Package guest is the one program that the pods of the contract suite run. Real containers run its command (folder
// cmd, a static binary); worlds without containers call the same code, so that both behave alike.
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

// Path of the program in its image.
const Path = "/guest"

// Port on which the program serves when not told otherwise.
const Port = 8080

// Banner is the first line that a serving program writes to its standard output.
const Banner = "guest is serving"

// Process is what the program sees of the place it runs in.
type Process struct {
	// Args without the program's own path.
	Args []string
	// Env as KEY=VALUE.
	Env      []string
	ReadFile func(path string) ([]byte, error)
	// WriteFile replaces the content of a file.
	WriteFile func(path string, data []byte) error
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
}

// Run does what p.Args ask for and returns the exit code; the end of ctx asks it to stop.
//
//	serve [-port N] [-never-ready] [-drain D]   serve HTTP: /readyz, anything else answers 200 with the path
//	exit CODE                                   end with that code
//	cat FILE | env NAME | resolve NAME          print a file, a variable, the addresses of a name
//	get URL                                     print the body of an answer; ends with 1 unless it is 200
//	write FILE                                  write standard input to a file
//	stdin                                       copy standard input to standard output
func Run(ctx context.Context, p Process) int {
	if err := run(ctx, p); err != nil {
		var code exitCode
		if errors.As(err, &code) {
			return int(code)
		}
		_, _ = fmt.Fprintln(p.Stderr, "guest:", err) // the exit code says it too
		return 1
	}
	return 0
}

// exitCode is an end that was asked for.
type exitCode int

func (c exitCode) Error() string { return "exit " + strconv.Itoa(int(c)) }

func run(ctx context.Context, p Process) error {
	if len(p.Args) == 0 || p.Args[0] == "serve" {
		return serve(ctx, p)
	}
	if p.Stdin == nil {
		p.Stdin = strings.NewReader("")
	}
	verb, arg := p.Args[0], strings.Join(p.Args[1:], " ")
	switch verb {
	case "exit":
		code, err := strconv.Atoi(arg)
		if err != nil {
			return fmt.Errorf("exit code %q: %w", arg, err)
		}
		return exitCode(code)
	case "cat":
		data, err := p.ReadFile(arg)
		if err != nil {
			return err
		}
		_, err = p.Stdout.Write(data)
		return err
	case "env":
		return printEnv(p, arg)
	case "resolve":
		addresses, err := net.DefaultResolver.LookupHost(ctx, arg)
		if err != nil {
			return err
		}
		slices.Sort(addresses)
		_, err = fmt.Fprintln(p.Stdout, strings.Join(addresses, " "))
		return err
	case "get":
		return get(ctx, p, arg)
	case "write":
		data, err := io.ReadAll(p.Stdin)
		if err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
		return p.WriteFile(arg, data)
	case "stdin":
		_, err := io.Copy(p.Stdout, p.Stdin)
		return err
	}
	return fmt.Errorf("unknown verb %q", verb)
}

func printEnv(p Process, name string) error {
	for _, pair := range p.Env {
		if value, found := strings.CutPrefix(pair, name+"="); found {
			_, err := io.WriteString(p.Stdout, value)
			return err
		}
	}
	return fmt.Errorf("variable %s is not set", name)
}

func get(ctx context.Context, p Process, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // the program ends next
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, response.Status)
	}
	_, err = io.Copy(p.Stdout, response.Body)
	return err
}

// Behaviour is how a program started with some arguments fares.
type Behaviour struct {
	// Ready tells whether it will ever answer /readyz with 200.
	Ready bool
	// Exits tells whether it ends by itself, with ExitCode.
	Exits    bool
	ExitCode int
}

// Foretell says how a program started with args will fare, for worlds that do not run it. Of arguments that are not those
// of Run, and so of another program, it expects the best: it serves.
func Foretell(args []string) Behaviour {
	if len(args) == 0 {
		return Behaviour{Ready: true}
	}
	switch args[0] {
	case "serve":
		options, err := parseServe(args)
		if err != nil {
			return Behaviour{Exits: true, ExitCode: 1}
		}
		return Behaviour{Ready: !options.neverReady}
	case "exit":
		code, err := strconv.Atoi(strings.Join(args[1:], " "))
		if err != nil {
			code = 1
		}
		return Behaviour{Exits: true, ExitCode: code}
	case "cat", "env", "get", "resolve", "stdin", "write":
		return Behaviour{Exits: true}
	}
	return Behaviour{Ready: true}
}

type serveOptions struct {
	port       int
	neverReady bool
	drain      time.Duration
}

func parseServe(args []string) (serveOptions, error) {
	var o serveOptions
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.port, "port", Port, "TCP port")
	flags.BoolVar(&o.neverReady, "never-ready", false, "answer /readyz with 503")
	flags.DurationVar(&o.drain, "drain", 0, "time to go on serving after being asked to stop")
	if len(args) > 0 {
		args = args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("reading the arguments of serve: %w", err)
	}
	return o, nil
}

// Handler answers HTTP as a program started with args does.
func Handler(args []string) http.Handler {
	options, _ := parseServe(args)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" && options.neverReady {
			http.Error(w, "never ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, r.URL.Path) // the client that went away knows
	})
}

func serve(ctx context.Context, p Process) error {
	options, err := parseServe(p.Args)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(options.port))
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	if _, err := fmt.Fprintln(p.Stdout, Banner); err != nil {
		return fmt.Errorf("writing to the log: %w", err)
	}
	server := &http.Server{Handler: Handler(p.Args), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), options.drain)
	defer cancel()
	<-drain.Done()
	return server.Close()
}
