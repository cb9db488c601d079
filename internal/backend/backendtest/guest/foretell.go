package guest

import (
	"context"
	"strconv"
)

// Start does what a program started with p.Args does until it serves, for worlds without a network: commands that need
// one succeed without an effect. It returns the server, or the exit code of a program that has ended. Of arguments that are
// not those of Run, and so of another program, it expects the best: it serves.
func Start(ctx context.Context, p Process) (Server, *int) {
	for _, command := range Commands(p.Args) {
		if server, is := ServerOf(command); is || !known(command) {
			return server, nil
		}
		switch command[0] {
		case "get", "resolve", "dial":
			continue
		case "eat": // with nobody to stop it, it goes on for ever
			return Server{NeverReady: true}, nil
		}
		p.Args = command
		if code := Run(ctx, p); code != 0 {
			return Server{}, &code
		}
	}
	return Server{}, new(0)
}

func known(command []string) bool {
	if len(command) == 0 {
		return false
	}
	_, is := commands()[command[0]]
	return is
}

// Behaviour is how a program started with some arguments fares.
type Behaviour struct {
	// Ready tells whether it will ever answer /readyz with 200.
	Ready bool
	// Exits tells whether it ends by itself, with ExitCode.
	Exits    bool
	ExitCode int
}

// Foretell is Start for worlds that do not even have files: of every command but "exit" it expects success.
func Foretell(args []string) Behaviour {
	for _, command := range Commands(args) {
		server, is := ServerOf(command)
		switch {
		case is:
			return Behaviour{Ready: !server.NeverReady}
		case !known(command):
			return Behaviour{Ready: true}
		}
		if command[0] == "exit" && len(command) > 1 {
			if code, err := strconv.Atoi(command[1]); err != nil || code != 0 {
				return Behaviour{Exits: true, ExitCode: max(code, 1)}
			}
		}
	}
	return Behaviour{Exits: true}
}
