// Package guest is the one program that the pods of the contract suite run. Real containers run its command (folder
// cmd, a static binary); worlds without containers call the same code, so that both behave alike.
package guest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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

// Then stands between commands that are run one after the other, as long as each succeeds.
const Then = "then"

// Process is what the program sees of the place it runs in.
type Process struct {
	// Args without the program's own path.
	Args []string
	// Env as KEY=VALUE.
	Env      []string
	ReadFile func(path string) ([]byte, error)
	// WriteFile replaces the content of a file, AppendFile adds to it; both make one that is not there.
	WriteFile  func(path string, data []byte) error
	AppendFile func(path string, data []byte) error
	RemoveFile func(path string) error
	// Hangup tells of a SIGHUP; nil for none.
	Hangup <-chan os.Signal
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// Run does what p.Args ask for and returns the exit code; the end of ctx asks it to stop. Commands are joined by the
// word "then".
//
//	serve [-port N] [-also N] [-never-ready] [-unready-file F] [-drain D] [-note F] [-reload-from F -reload-to F]
//	                                            serve HTTP: /readyz, /wait/D answers after that time, anything else answers
//	                                            200 with the path; not ready while F exists; goes on for D after being
//	                                            asked to stop, and notes "term" in F when asked;
//	                                            POST /reload and SIGHUP have it copy a file to another
//	exit CODE                                   end with that code
//	sleep D                                     end after that time
//	eat MIB                                     take up that much memory, and keep it
//	say N                                       print that many lines of 100 bytes, numbered from 0
//	cat FILE | env NAME | resolve NAME          print a file, a variable, the addresses of a name (none: an empty line)
//	get URL                                     print the body of an answer; ends with 1 unless it is 200
//	dial ADDRESS D                              print "open" or "closed": whether a TCP connection comes about in that time
//	write FILE                                  write standard input to a file
//	append FILE TEXT...                         add a line to a file
//	copy FILE FILE                              make the second like the first
//	remove FILE                                 remove a file
//	reject FILE TEXT                            end with 1 if the file holds that text
//	fail-first FILE                             end with 1 and make the file, or with 0 if it is there
//	stdin                                       copy standard input to standard output
func Run(ctx context.Context, p Process) int {
	if p.Stdin == nil {
		p.Stdin = strings.NewReader("")
	}
	for _, command := range Commands(p.Args) {
		p.Args = command
		if err := run(ctx, p); err != nil {
			var code exitCode
			if errors.As(err, &code) {
				return int(code)
			}
			_, _ = fmt.Fprintln(p.Stderr, "guest:", err) // the exit code says it too
			return 1
		}
	}
	return 0
}

// Commands that args join; without any, it serves.
func Commands(args []string) [][]string {
	if len(args) == 0 {
		return [][]string{{"serve"}}
	}
	var commands [][]string
	for len(args) > 0 {
		end := slices.Index(args, Then)
		if end < 0 {
			return append(commands, args)
		}
		commands, args = append(commands, args[:end]), args[end+1:]
	}
	return commands
}

// exitCode is an end that was asked for.
type exitCode int

func (c exitCode) Error() string { return "exit " + strconv.Itoa(int(c)) }

func run(ctx context.Context, p Process) error {
	if len(p.Args) == 0 {
		return errors.New("no command")
	}
	verb, args := p.Args[0], p.Args[1:]
	c, known := commands()[verb]
	if !known {
		return fmt.Errorf("unknown verb %q", verb)
	}
	if len(args) < c.args {
		return fmt.Errorf("%s wants %d arguments, not %d", verb, c.args, len(args))
	}
	return c.run(ctx, p, args)
}

// command of the program.
type command struct {
	// args is how many it needs at least.
	args int
	run  func(ctx context.Context, p Process, args []string) error
}

func commands() map[string]command {
	return map[string]command{
		"serve":      {0, func(ctx context.Context, p Process, _ []string) error { return serve(ctx, p) }},
		"exit":       {1, exit},
		"sleep":      {1, sleep},
		"eat":        {1, eat},
		"say":        {1, say},
		"cat":        {1, cat},
		"env":        {1, printEnv},
		"resolve":    {1, resolve},
		"get":        {1, get},
		"dial":       {2, dial},
		"write":      {1, write},
		"append":     {2, appendLine},
		"copy":       {2, copyFile},
		"remove":     {1, func(_ context.Context, p Process, args []string) error { return p.RemoveFile(args[0]) }},
		"reject":     {2, reject},
		"fail-first": {1, failFirst},
		"stdin": {0, func(_ context.Context, p Process, _ []string) error {
			_, err := io.Copy(p.Stdout, p.Stdin)
			return err
		}},
	}
}

func exit(_ context.Context, _ Process, args []string) error {
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("exit code %q: %w", args[0], err)
	}
	if code == 0 {
		return nil
	}
	return exitCode(code)
}

func sleep(ctx context.Context, _ Process, args []string) error {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// eat takes memory a MiB at a time, touching each page so that it counts.
func eat(ctx context.Context, _ Process, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("%q MiB: %w", args[0], err)
	}
	var eaten [][]byte
	for range n {
		piece := make([]byte, 1<<20)
		for i := 0; i < len(piece); i += 4096 {
			piece[i] = 1
		}
		eaten = append(eaten, piece)
	}
	<-ctx.Done()
	return fmt.Errorf("%w with %d MiB in hand", ctx.Err(), len(eaten))
}

// SaidLine is the line of that number that "say" prints, without its end.
func SaidLine(n int) string { return fmt.Sprintf("%-99s", fmt.Sprintf("line %d", n)) }

func say(_ context.Context, p Process, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("%q lines: %w", args[0], err)
	}
	out := bufio.NewWriter(p.Stdout)
	for i := range n {
		if _, err := fmt.Fprintln(out, SaidLine(i)); err != nil {
			return fmt.Errorf("writing to the log: %w", err)
		}
	}
	return out.Flush()
}

func cat(_ context.Context, p Process, args []string) error {
	data, err := p.ReadFile(args[0])
	if err != nil {
		return err
	}
	_, err = p.Stdout.Write(data)
	return err
}

func printEnv(_ context.Context, p Process, args []string) error {
	for _, pair := range p.Env {
		if value, found := strings.CutPrefix(pair, args[0]+"="); found {
			_, err := io.WriteString(p.Stdout, value)
			return err
		}
	}
	return fmt.Errorf("variable %s is not set", args[0])
}

func write(_ context.Context, p Process, args []string) error {
	data, err := io.ReadAll(p.Stdin)
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	return p.WriteFile(args[0], data)
}

func appendLine(_ context.Context, p Process, args []string) error {
	return p.AppendFile(args[0], []byte(strings.Join(args[1:], " ")+"\n"))
}

func copyFile(_ context.Context, p Process, args []string) error {
	data, err := p.ReadFile(args[0])
	if err != nil {
		return err
	}
	return p.WriteFile(args[1], data)
}

func reject(_ context.Context, p Process, args []string) error {
	data, err := p.ReadFile(args[0])
	if err != nil {
		return err
	}
	if strings.Contains(string(data), args[1]) {
		return fmt.Errorf("%s holds %q", args[0], args[1])
	}
	return nil
}

func failFirst(_ context.Context, p Process, args []string) error {
	if _, err := p.ReadFile(args[0]); err == nil {
		return nil
	}
	if err := p.WriteFile(args[0], nil); err != nil {
		return err
	}
	return errors.New("the first time fails")
}
