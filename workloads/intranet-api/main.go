// Command intranet-api tells internal programs what is stored: an inventory,
// statistics and a search over the files of mime-server, and their deletion.
package main

import (
	"context"
	"os"

	"mockup.dev/mockup/workloads/internal/fileclient"
	"mockup.dev/mockup/workloads/internal/problem"
	"mockup.dev/mockup/workloads/internal/server"
)

const defaultMimeServer = "http://mime-server:8000"

func main() {
	os.Exit(server.Program{
		Name:        "intranet-api",
		Summary:     "the internal JSON API over the stored files",
		Port:        5001,
		MetricsPort: 8002,
		Settings: []server.Setting{
			{Name: "MIME_SERVER_URL", Default: defaultMimeServer, Help: "address of mime-server"},
		},
		Setup: setup,
	}.Main(os.Args))
}

func setup(_ context.Context, s *server.Service) error {
	base, err := server.URLSetting("MIME_SERVER_URL", defaultMimeServer)
	if err != nil {
		return err
	}
	files := fileclient.New(base)
	s.DependsOn("mime-server", files.Probe)
	api := &api{files: files, log: s.Log}
	for _, route := range api.routes() {
		s.Mux.HandleFunc(route.Method+" "+route.Pattern, route.handle)
	}
	s.Handler = problem.SameSite(problem.Fallback(s.Mux))
	return nil
}
