package node

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"mockup.dev/mockup/internal/footprint"
)

// Command is the agent as a command of its own, hidden, for a Client starts it.
func Command() *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:    "node",
		Short:  "Run the node agent",
		Hidden: true,
		Long: `Runs the node agent in the foreground: names of Services by DNS, fixed addresses and network policies of pods on
Podman. The operator starts it when it is needed and tells it what should be; it outlives the operator, so that names
resolve while that is away, and ends by itself when there is nothing left to serve.

Logs are JSON lines on standard error. SIGTERM and SIGINT end it; pods then find no names until it is started again.

Exit codes: 0 when told to end or not needed, 1 on an error, 2 when called wrongly, 4 when another one runs in the folder.`,
		Example: `  mockup node --dir /run/mockup/node`,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&dir, "dir", DefaultDir(), "folder of its socket and of what it was told")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
		footprint.Bound()
		go func() {
			if err := footprint.Keep(cmd.Context()); err != nil {
				log.Info("memory was not given back", "error", err.Error())
			}
		}()
		err := Run(cmd.Context(), Options{Dir: dir, Log: log})
		if err != nil {
			log.Error("ended", "error", err.Error()) // a client that started it quotes the last line
		}
		return err
	}
	return cmd
}
